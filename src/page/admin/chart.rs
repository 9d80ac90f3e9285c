//! The drawing on the dashboard's first page.

use serde::Serialize;

/// Sign-ins over time as bars, measured in the units of the drawing.
#[derive(Debug, Serialize)]
pub struct Chart {
    /// What the chart shows: `Sign-ins, last 24 hours`.
    pub heading: String,
    /// What the chart says, for those who do not see it.
    pub summary: String,
    /// The width of the drawing.
    pub width: u64,
    /// The height of the drawing.
    pub height: u64,
    /// The label under the first bar.
    pub from: String,
    /// The label under the last bar.
    pub to: String,
    /// The bars, from left to right.
    pub bars: Vec<Bar>,
}

/// One span of time: refusals stand on top of successes.
#[derive(Debug, Serialize)]
pub struct Bar {
    /// Which span: `14:00`.
    pub label: String,
    /// How many sign-ins succeeded.
    pub good: u64,
    /// How many were refused.
    pub bad: u64,
    /// The left edge.
    pub x: u64,
    /// The width.
    pub width: u64,
    /// The upper edge of the successes.
    pub good_y: u64,
    /// The height of the successes.
    pub good_height: u64,
    /// The upper edge of the refusals.
    pub bad_y: u64,
    /// The height of the refusals.
    pub bad_height: u64,
}

impl Chart {
    const HEIGHT: u64 = 200;
    const BAR_WIDTH: u64 = 14;
    const BAR_STEP: u64 = 20;

    /// Draws `spans` of (label, successes, refusals), from the earliest to the latest; `None` without any.
    pub fn draw(heading: &str, spans: &[(String, u64, u64)]) -> Option<Self> {
        let (from, to) = (spans.first()?.0.clone(), spans.last()?.0.clone());
        let total = |pick: fn(&(String, u64, u64)) -> u64| spans.iter().map(pick).sum::<u64>();
        let tallest = spans.iter().map(|(_, good, bad)| good + bad).max().unwrap_or(0).max(1);
        // A span with a single event must not look like one without any.
        let scaled = |count: u64| match count * Self::HEIGHT / tallest {
            0 if count > 0 => 1,
            height => height,
        };
        let bars = (0..).zip(spans).map(|(position, (label, good, bad))| {
            let good_height = scaled(*good);
            let bad_height = scaled(*bad).min(Self::HEIGHT.saturating_sub(good_height));
            let good_y = Self::HEIGHT.saturating_sub(good_height);
            Bar {
                label: label.clone(),
                good: *good,
                bad: *bad,
                x: position * Self::BAR_STEP,
                width: Self::BAR_WIDTH,
                good_y,
                good_height,
                bad_y: good_y.saturating_sub(bad_height),
                bad_height,
            }
        });
        Some(Self {
            heading: heading.to_owned(),
            summary: format!(
                "{heading}: {} successful, {} refused",
                total(|span| span.1),
                total(|span| span.2)
            ),
            width: Self::BAR_STEP * (spans.len() as u64) - (Self::BAR_STEP - Self::BAR_WIDTH),
            height: Self::HEIGHT,
            from,
            to,
            bars: bars.collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tallest_bar_fills_the_drawing_and_a_single_event_still_shows() {
        let spans = [("01:00".into(), 900, 100), ("02:00".into(), 1, 0), ("03:00".into(), 0, 0)];
        let chart = Chart::draw("Sign-ins", &spans).expect("there are spans");
        assert_eq!(chart.summary, "Sign-ins: 901 successful, 100 refused");
        assert_eq!((chart.bars[0].good_height, chart.bars[0].bad_height), (180, 20));
        assert_eq!((chart.bars[0].good_y, chart.bars[0].bad_y), (20, 0));
        assert_eq!((chart.bars[1].good_height, chart.bars[2].good_height), (1, 0));
        assert_eq!((chart.bars[2].x, chart.width), (40, 54));
        assert!(Chart::draw("Sign-ins", &[]).is_none());
    }
}
