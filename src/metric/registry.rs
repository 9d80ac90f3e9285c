//! Where figures are kept, and how they are written down for Prometheus.
//!
//! A figure is an atomic number. Whoever counts holds a handle on it, made once; to count is to add to that number,
//! with nothing to look up, and where nobody watches it is nothing at all.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::family::{ALL, Family};

/// The upper bounds of a histogram's buckets, in microseconds: 0.1 ms to 10 s.
const BOUNDS_MICROS: [u64; 16] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000, 10_000_000,
];

/// The figures of one server, or, where nobody watches, none. Clones share them.
#[derive(Clone, Default)]
pub struct Registry(Option<Arc<Mutex<Families>>>);

type Families = BTreeMap<&'static str, BTreeMap<String, Figure>>;

/// A figure, by what is kept of it.
#[derive(Clone)]
enum Figure {
    Count(Arc<AtomicU64>),
    /// The bits of an `f64`.
    Level(Arc<AtomicU64>),
    Durations(Arc<Durations>),
}

/// How many durations fell into each bucket, and beyond the last.
#[derive(Default)]
struct Durations {
    buckets: [AtomicU64; BOUNDS_MICROS.len()],
    longer: AtomicU64,
    sum_nanos: AtomicU64,
}

impl Registry {
    /// A registry that counts.
    pub fn on() -> Self {
        Self(Some(Arc::default()))
    }

    /// Whether anybody watches.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// A handle on the figure with these labels, which is 0 if it is new.
    pub fn counter(&self, family: &'static Family, labels: &[(&str, &str)]) -> Counter {
        match self.figure(family, labels, || Figure::Count(Arc::default())) {
            Some(Figure::Count(count)) => Counter(Some(count)),
            _ => Counter(None),
        }
    }

    /// A handle on the figure with these labels, which is 0 if it is new.
    pub fn gauge(&self, family: &'static Family, labels: &[(&str, &str)]) -> Gauge {
        match self.figure(family, labels, || Figure::Level(Arc::default())) {
            Some(Figure::Level(level)) => Gauge(Some(level)),
            _ => Gauge(None),
        }
    }

    /// A handle on the figure with these labels, which is 0 if it is new, for what does not grow by
    /// whole numbers.
    pub fn float_counter(&self, family: &'static Family, labels: &[(&str, &str)]) -> FloatCounter {
        FloatCounter(self.gauge(family, labels))
    }

    /// A handle on the figure with these labels, which is empty if it is new.
    pub fn histogram(&self, family: &'static Family, labels: &[(&str, &str)]) -> Histogram {
        match self.figure(family, labels, || Figure::Durations(Arc::default())) {
            Some(Figure::Durations(durations)) => Histogram(Some(durations)),
            _ => Histogram(None),
        }
    }

    fn figure(
        &self,
        family: &'static Family,
        labels: &[(&str, &str)],
        new: fn() -> Figure,
    ) -> Option<Figure> {
        let mut families = self.0.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        let figures = families.entry(family.name).or_default();
        Some(figures.entry(written(labels)).or_insert_with(new).clone())
    }

    /// All figures in Prometheus' text format, version 0.0.4.
    pub fn render(&self) -> String {
        let mut page = String::new();
        let Some(families) = &self.0 else { return page };
        let families = families.lock().unwrap_or_else(PoisonError::into_inner);
        for family in ALL {
            let Some(figures) = families.get(family.name) else { continue };
            let (name, kind) = (family.name, family.kind.as_str());
            // Writing to a text cannot fail.
            let _ = writeln!(page, "# HELP {name} {}\n# TYPE {name} {kind}", family.help);
            for (labels, figure) in figures {
                let _ = figure.write(&mut page, name, labels);
            }
        }
        page
    }
}

impl Figure {
    fn write(&self, page: &mut String, name: &str, labels: &str) -> std::fmt::Result {
        let braced = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        match self {
            Self::Count(count) => writeln!(page, "{name}{braced} {}", get(count)),
            Self::Level(level) => writeln!(page, "{name}{braced} {}", f64::from_bits(get(level))),
            Self::Durations(durations) => {
                let comma = if labels.is_empty() { "" } else { "," };
                let mut below = 0;
                for (bound, bucket) in BOUNDS_MICROS.iter().zip(&durations.buckets) {
                    below += get(bucket);
                    let seconds = Duration::from_micros(*bound).as_secs_f64();
                    writeln!(page, "{name}_bucket{{{labels}{comma}le=\"{seconds}\"}} {below}")?;
                }
                let all = below + get(&durations.longer);
                let sum = Duration::from_nanos(get(&durations.sum_nanos)).as_secs_f64();
                writeln!(page, "{name}_bucket{{{labels}{comma}le=\"+Inf\"}} {all}")?;
                writeln!(page, "{name}_sum{braced} {sum}\n{name}_count{braced} {all}")
            }
        }
    }
}

fn get(number: &AtomicU64) -> u64 {
    number.load(Ordering::Relaxed)
}

/// Labels as they stand between the braces, their values escaped.
fn written(labels: &[(&str, &str)]) -> String {
    let escape =
        |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let pair = |(name, value): &(&str, &str)| format!("{name}=\"{}\"", escape(value));
    labels.iter().map(pair).collect::<Vec<_>>().join(",")
}

/// A handle on a number that only grows.
#[derive(Clone, Default)]
pub struct Counter(Option<Arc<AtomicU64>>);

impl Counter {
    /// One more.
    pub fn count(&self) {
        if let Some(count) = &self.0 {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A handle on an amount that only grows, and that somebody else adds up.
#[derive(Clone, Default)]
pub struct FloatCounter(Gauge);

impl FloatCounter {
    /// It is so much in all.
    pub fn reach(&self, all: f64) {
        self.0.set(all);
    }
}

/// A handle on a number of the moment.
#[derive(Clone, Default)]
pub struct Gauge(Option<Arc<AtomicU64>>);

impl Gauge {
    /// It is this now.
    pub fn set(&self, level: f64) {
        if let Some(bits) = &self.0 {
            bits.store(level.to_bits(), Ordering::Relaxed);
        }
    }

    /// It is this many now.
    pub fn set_count(&self, count: impl TryInto<u64>) {
        // Beyond 2^53 the nearest number that there is.
        self.set(count.try_into().unwrap_or(u64::MAX) as f64);
    }
}

/// A handle on a histogram.
#[derive(Clone, Default)]
pub struct Histogram(Option<Arc<Durations>>);

impl Histogram {
    /// It took this long.
    pub fn note(&self, duration: Duration) {
        let Some(durations) = &self.0 else { return };
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let fits = |bound: &u64| nanos <= bound * 1_000;
        let place = BOUNDS_MICROS.iter().position(fits);
        let bucket = place.and_then(|place| durations.buckets.get(place));
        bucket.unwrap_or(&durations.longer).fetch_add(1, Ordering::Relaxed);
        durations.sum_nanos.fetch_add(nanos, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::super::family;
    use super::*;

    #[test]
    fn a_page_says_what_was_counted_in_the_text_format() {
        let registry = Registry::on();
        registry.counter(&family::LOGINS, &[("outcome", "good")]).count();
        registry.counter(&family::LOGINS, &[("outcome", "good")]).count();
        registry.gauge(&family::ACCOUNTS, &[]).set_count(12_u64);
        let took = registry.histogram(&family::HASH_SECONDS, &[("a", "b")]);
        for micros in [0, 100, 101, 9_999_999, 10_000_001] {
            took.note(Duration::from_micros(micros));
        }
        let page = registry.render();
        let head = "# HELP doorward_logins_total Attempts to sign in, by outcome.\n\
                    # TYPE doorward_logins_total counter\n\
                    doorward_logins_total{outcome=\"good\"} 2\n\
                    # HELP doorward_hash_duration_seconds";
        assert!(page.starts_with(head), "{page}");
        for line in [
            "doorward_hash_duration_seconds_bucket{a=\"b\",le=\"0.0001\"} 2",
            "doorward_hash_duration_seconds_bucket{a=\"b\",le=\"0.00025\"} 3",
            "doorward_hash_duration_seconds_bucket{a=\"b\",le=\"5\"} 3",
            "doorward_hash_duration_seconds_bucket{a=\"b\",le=\"10\"} 4",
            "doorward_hash_duration_seconds_bucket{a=\"b\",le=\"+Inf\"} 5",
            "doorward_hash_duration_seconds_sum{a=\"b\"} 20.000201",
            "doorward_hash_duration_seconds_count{a=\"b\"} 5",
            "doorward_accounts 12",
        ] {
            assert!(page.lines().any(|shown| shown == line), "{line} in {page}");
        }
    }

    #[test]
    fn no_label_breaks_out_of_its_line() {
        let registry = Registry::on();
        registry.counter(&family::LOGINS, &[("outcome", "a\"b\\c\nd")]).count();
        assert!(registry.render().ends_with("{outcome=\"a\\\"b\\\\c\\nd\"} 1\n"));
    }

    #[test]
    fn where_nobody_watches_nothing_is_kept() {
        let registry = Registry::default();
        registry.counter(&family::LOGINS, &[]).count();
        registry.gauge(&family::ACCOUNTS, &[]).set(1.0);
        registry.histogram(&family::HASH_SECONDS, &[]).note(Duration::ZERO);
        assert!(!registry.is_on() && registry.render().is_empty());
    }
}
