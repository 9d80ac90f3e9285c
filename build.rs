//! Builds again when a file changes that is compiled in without being named in the source.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
    println!("cargo:rerun-if-changed=templates");
}
