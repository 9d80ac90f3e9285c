use super::*;

fn postgres(url: &str) -> PostgresAddress {
    match SqlAddress::parse(url) {
        Ok(SqlAddress::Postgres(address)) => *address,
        other => panic!("{url}: {other:?}"),
    }
}

fn sqlite(url: &str) -> String {
    match SqlAddress::parse(url) {
        Ok(SqlAddress::Sqlite(address)) => address.path.display().to_string(),
        other => panic!("{url}: {other:?}"),
    }
}

#[test]
fn a_file_is_where_its_url_says_whatever_is_in_its_name() {
    for (url, path) in [
        ("sqlite:///srv/data/doorward.db", "/srv/data/doorward.db"),
        ("sqlite:/srv/doorward.db", "/srv/doorward.db"),
        ("sqlite://data/doorward.db", "data/doorward.db"),
        ("sqlite:doorward.db", "doorward.db"),
        ("SQLITE://Data/Doorward.DB", "Data/Doorward.DB"),
        ("sqlite:///srv/a b/x.db?mode=rwc", "/srv/a b/x.db"),
        ("sqlite:///srv/100%/x.db", "/srv/100%/x.db"),
        ("sqlite:///srv/a%20b%3Fc%25d/x.db", "/srv/a b?c%d/x.db"),
        ("sqlite:///srv/#1/x.db", "/srv/#1/x.db"),
        ("sqlite:///srv/'q\"/ü/x.db", "/srv/'q\"/ü/x.db"),
        ("sqlite://./~/x.db", "./~/x.db"),
        ("sqlite://file:x.db", "file:x.db"),
        ("sqlite:////srv//x.db", "//srv//x.db"),
    ] {
        assert_eq!(sqlite(url), path, "{url}");
    }
    assert_eq!(
        SqliteAddress { path: "file:x.db".into(), read_only: false }.filename(),
        Path::new("./file:x.db"),
        "which SQLite would read as a URL of its own"
    );
}

#[test]
fn a_path_and_its_url_become_one_another() {
    for path in [
        "/srv/doorward.db",
        "data/doorward.db",
        "/a b/ c /100%/%41/x?y=z/#1/'\"`$(x)&;|<>/ü漢🎈/new\nline\t/x.db ",
        "./~/x.db",
        "file:x.db",
    ] {
        let url = sqlite_url(Path::new(path)).expect("UTF-8");
        assert_eq!(sqlite(&url), path, "{url}");
    }
}

#[test]
fn a_file_that_cannot_be_meant_is_refused_without_being_shown() {
    for (url, expected) in [
        ("sqlite::memory:", "must be a file"),
        ("sqlite:", "must be a file"),
        ("sqlite://hunter2?mode=memory", "must be a file"),
        ("sqlite://hunter2?mode=hunter2", "`mode`"),
        ("sqlite:///srv/hunter2?/x.db", "%3F"),
        ("sqlite:///srv/hunter2.db\n", "%0A"),
        (" sqlite:///srv/hunter2.db", "%20"),
        ("sqlite://~/doorward.db", "whole path"),
        ("sqlite:~hunter2/doorward.db", "whole path"),
        ("sqlite:///srv/%FF.db", "not UTF-8"),
        ("sqlite:///srv/%00.db", "zero byte"),
        ("mysql://hunter2", "must begin with"),
        ("hunter2", "must begin with"),
    ] {
        let error = SqlAddress::parse(url).expect_err(url);
        assert!(error.contains(expected), "{url}: {error}");
        assert!(!error.contains("hunter2") || url.contains("~hunter2"), "{url}: {error}");
    }
}

#[test]
fn the_forms_of_libpq_are_understood() {
    for (url, expected) in [
        ("postgres://dw@db.example.com/app", r#""app" at db.example.com:5432 as user "dw""#),
        ("postgresql://dw:p@db:6000/app", r#""app" at db:6000 as user "dw""#),
        ("POSTGRES://dw@db/App", r#""App" at db:5432 as user "dw""#),
        ("postgres:///app?host=/run/pg&user=dw", r#""app" at /run/pg/.s.PGSQL.5432 as user "dw""#),
        ("postgres://dw@/app?host=/run/pg", r#""app" at /run/pg/.s.PGSQL.5432 as user "dw""#),
        ("postgres://dw:p@%2Frun%2Fpg/app", r#""app" at /run/pg/.s.PGSQL.5432 as user "dw""#),
        ("postgres://dw@%2Frun%2Fpg:6000/app", r#""app" at /run/pg/.s.PGSQL.6000 as user "dw""#),
        ("postgres://?host=db&dbname=app&user=dw&port=7000", r#""app" at db:7000 as user "dw""#),
        (
            "postgres://[2001:db8::1]:6000/app?user=dw",
            r#""app" at [2001:db8::1]:6000 as user "dw""#,
        ),
        ("postgres://d%40w:p%2Fw@db/a%20b", r#""a b" at db:5432 as user "d@w""#),
        ("postgres://dw:a@b@db/app", r#""app" at db:5432 as user "dw""#),
        ("postgres://dw@one,two:6000/app", r#""app" at one:5432 or two:6000 as user "dw""#),
        (
            "postgres:///app?host=one,two&port=1,2&user=dw",
            r#""app" at one:1 or two:2 as user "dw""#,
        ),
        ("postgres:///app?hostaddr=192.0.2.1&user=dw", r#""app" at 192.0.2.1:5432 as user "dw""#),
        ("postgres://dw@db", r#""dw" at db:5432 as user "dw""#),
    ] {
        let told = SqlAddress::Postgres(Box::new(postgres(url))).describe();
        assert_eq!(told, format!("PostgreSQL database {expected}"), "{url}");
    }
    let address = postgres("postgres://dw@db/app?connect_timeout=10&channel_binding=require&x=y");
    assert_eq!(address.unused, ["connect_timeout", "channel_binding", "x"]);
    for (query, tls) in [
        ("", Tls::Unsaid),
        ("?sslmode=disable", Tls::Off),
        ("?application_name=a&sslmode=verify-full", Tls::Verified),
        ("?ssl-mode=verify-full", Tls::Verified),
        ("?sslmode=require", Tls::Unverified),
        ("?ssl=true", Tls::Unverified),
    ] {
        assert_eq!(postgres(&format!("postgres://dw@db/app{query}")).tls, tls, "{query}");
    }
}

#[test]
fn a_server_that_cannot_be_meant_is_refused_without_being_shown() {
    for (url, expected) in [
        ("postgres:db", "postgres://"),
        ("postgres://dw:hunter2/x@db/app", "percent-encode"),
        ("postgres://dw:hunter2?x@db/app", "percent-encode"),
        ("postgres://dw:hunter2@local host/app", "percent-encode"),
        ("postgres://dw:hunter2@db:port/app", "port"),
        ("postgres://dw:hunter2@db:0/app", "port"),
        ("postgres://dw:hunter2@[::1/app", "percent-encode"),
        ("postgres://dw:hunter2@db/app?sslmode=hunter2", "sslmode"),
        ("postgres://dw:hunter2@one,two,three/app?port=1,2", "ports"),
        ("postgres://dw:hunter2@db/ap\np", "line break"),
        ("postgres://dw:%FF@db/app", "percent-encode"),
    ] {
        let error = SqlAddress::parse(url).expect_err(url);
        assert!(error.contains(expected), "{url}: {error}");
        assert!(!error.contains("hunter2"), "{url}: {error}");
    }
    let shown = format!("{:?}", SqlAddress::parse("postgres://dw:hunter2@db/app"));
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn only_this_machine_is_near() {
    for (url, near) in [
        ("postgres://dw@localhost/app", true),
        ("postgres://dw@127.0.0.1/app", true),
        ("postgres://dw@[::1]/app", true),
        ("postgres:///app?host=/run/pg", true),
        ("postgres://dw@localhost,db/app", false),
        ("postgres://dw@localhost.evil/app", false),
        ("postgres://localhost@db/app", false),
        ("postgres:///app?host=db", false),
    ] {
        assert_eq!(postgres(url).is_local(), near, "{url}");
    }
}
