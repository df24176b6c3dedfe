//! The table, and whether the targets are met.

use crate::ways::Way;

/// What was measured, in the order of [`Way::ALL`].
pub(crate) struct Figures {
    pub(crate) instructions: Vec<f64>,
    pub(crate) nanoseconds: Vec<f64>,
}

/// One of the two columns of figures.
type Column<'a> = &'a [f64];

/// What a request may cost at most, as a multiple of another.
struct Target {
    what: &'static str,
    limit: f64,
    ratio: fn(Column<'_>) -> f64,
}

const TARGETS: [Target; 4] = [
    Target {
        what: "signed in: with session-expire / without",
        limit: 0.85,
        ratio: |figures| of(figures, Way::With) / of(figures, Way::Bare),
    },
    Target {
        what: "signed in, six entries: with session-expire / without",
        limit: 0.50,
        ratio: |figures| of(figures, Way::WithSix) / of(figures, Way::BareWithSix),
    },
    Target {
        what: "anonymous: with session-expire / without",
        limit: 1.04,
        ratio: |figures| of(figures, Way::AnonymousWith) / of(figures, Way::AnonymousBare),
    },
    Target {
        what: "a policy layer / signed in without",
        limit: 0.024,
        ratio: |figures| {
            let two = of(figures, Way::TwoLayers) - of(figures, Way::With);
            two / 2.0 / of(figures, Way::Bare)
        },
    },
];

pub(crate) fn print(figures: &Figures) {
    println!("\nCost of one request\n");
    println!("{:38} {:>12} {:>7} {:>9} {:>7}", "", "instructions", "ratio", "ns", "ratio");
    for way in Way::ALL {
        let [(instructions, i_ratio), (nanoseconds, n_ratio)] =
            [&figures.instructions, &figures.nanoseconds].map(|column| {
                let cost = of(column, way);
                (cost, cost / of(column, way.base()))
            });
        let label = way.label();
        let counted = match instructions.is_nan() {
            true => format!("{:>12} {:>7}", "not counted", ""),
            false => format!("{instructions:12.0} {i_ratio:7.3}"),
        };
        println!("{label:38} {counted} {nanoseconds:9.0} {n_ratio:7.3}");
    }
    println!("\n{:60} {:>7} {:>20} {:>20}", "Targets", "at most", "instructions", "time");
    for Target { what, limit, ratio } in TARGETS {
        let [by_count, by_time] = [&figures.instructions, &figures.nanoseconds]
            .map(|column| verdict(ratio(column), limit));
        println!("{what:60} {limit:7.3} {by_count:>20} {by_time:>20}");
    }
}

fn verdict(ratio: f64, limit: f64) -> String {
    format!("{ratio:.4} {}", if ratio <= limit { "pass" } else { "MISSED" })
}

fn of(column: Column<'_>, way: Way) -> f64 {
    let place = Way::ALL.iter().position(|other| *other == way);
    place.and_then(|place| column.get(place)).copied().unwrap_or(f64::NAN)
}
