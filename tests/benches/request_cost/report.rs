//! Table of the measurements, and the targets.

use crate::variants::Variant;

/// The measurements, in the order of [`Variant::ALL`].
pub(crate) struct Figures {
    pub(crate) instructions: Vec<f64>,
    pub(crate) nanoseconds: Vec<f64>,
}

/// A column of the table.
type Column<'a> = &'a [f64];

/// The maximum cost of a request, as a multiple of another.
struct Target {
    what: &'static str,
    limit: f64,
    ratio: fn(Column<'_>) -> f64,
}

const TARGETS: [Target; 4] = [
    Target {
        what: "signed in: with session-expire / without",
        limit: 0.85,
        ratio: |figures| of(figures, Variant::With) / of(figures, Variant::Bare),
    },
    Target {
        what: "signed in, six entries: with session-expire / without",
        limit: 0.50,
        ratio: |figures| of(figures, Variant::WithSix) / of(figures, Variant::BareWithSix),
    },
    Target {
        what: "anonymous: with session-expire / without",
        limit: 1.04,
        ratio: |figures| of(figures, Variant::AnonymousWith) / of(figures, Variant::AnonymousBare),
    },
    Target {
        what: "a policy layer / signed in without",
        limit: 0.024,
        ratio: |figures| {
            let two = of(figures, Variant::TwoLayers) - of(figures, Variant::With);
            two / 2.0 / of(figures, Variant::Bare)
        },
    },
];

pub(crate) fn print(figures: &Figures) {
    println!("\nCost of one request\n");
    println!("{:38} {:>12} {:>7} {:>9} {:>7}", "", "instructions", "ratio", "ns", "ratio");
    for variant in Variant::ALL {
        let [(instructions, i_ratio), (nanoseconds, n_ratio)] =
            [&figures.instructions, &figures.nanoseconds].map(|column| {
                let cost = of(column, variant);
                (cost, cost / of(column, variant.base()))
            });
        let label = variant.label();
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

fn of(column: Column<'_>, variant: Variant) -> f64 {
    let place = Variant::ALL.iter().position(|other| *other == variant);
    place.and_then(|place| column.get(place)).copied().unwrap_or(f64::NAN)
}
