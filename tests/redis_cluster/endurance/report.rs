//! Measurements of a run.

use std::{collections::BTreeMap, fmt, time::Duration};

use session_expire_tests::{Counts, Measured};

/// Measured values of a run.
#[derive(Default)]
pub struct Report {
    pub counts: Counts,
    errors: BTreeMap<String, u64>,
    gaps: BTreeMap<&'static str, Vec<Gap>>,
}

/// Longest time without a response during a fault: of the user who waited longest, and of the
/// median user.
type Gap = (Duration, Duration);

impl Report {
    pub fn add(&mut self, fault: &'static str, measured: &Measured) {
        self.counts.add(&measured.counts);
        for (error, count) in &measured.errors {
            *self.errors.entry(error.clone()).or_default() += count;
        }
        let gaps = sorted(&measured.gaps);
        let gap = (gaps[gaps.len() - 1], gaps[gaps.len() / 2]);
        self.gaps.entry(fault).or_default().push(gap);
    }
}

fn sorted<T: Ord + Clone>(values: &[T]) -> Vec<T> {
    let mut sorted = values.to_vec();
    sorted.sort();
    sorted
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.counts)?;
        for (error, count) in &self.errors {
            writeln!(f, "    {count} × {error}")?;
        }
        writeln!(
            f,
            "time without a response (of the user who waited longest, of the median user):"
        )?;
        for (fault, gaps) in &self.gaps {
            let (gaps, count) = (sorted(gaps), gaps.len());
            let [longest, median] = [gaps[count - 1], gaps[count / 2]];
            write!(
                f,
                "    {fault:40} {count:3} times: at most {:.1?}, {:.1?}",
                longest.0, longest.1
            )?;
            writeln!(f, "; median {:.1?}, {:.1?}", median.0, median.1)?;
        }
        Ok(())
    }
}
