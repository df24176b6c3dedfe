//! Nanoseconds per request.

use crate::{Outcome, variants::Visits};

/// Requests in a row: few, so that other load affects all variants alike.
const BATCH: u16 = 256;

/// Returns the median of all rounds, for each of `visits`.
///
/// A round measures every variant: a machine that gets slower affects all of them.
pub(crate) async fn medians(visits: &[Visits], rounds: usize) -> Outcome<Vec<f64>> {
    let mut times = vec![Vec::new(); visits.len()];
    // The first round warms up.
    for round in 0..=rounds {
        for (visits, times) in visits.iter().zip(&mut times) {
            let took = visits.replay(BATCH.into()).await?;
            if round > 0 {
                times.push(took.as_secs_f64() * 1e9 / f64::from(BATCH));
            }
        }
    }
    Ok(times.into_iter().map(median).collect())
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}
