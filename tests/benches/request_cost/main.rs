//! What a request costs with session-expire, next to what it costs without.
//!
//! One small site, asked for the same page in ways that differ in a single thing: without us, with
//! us, with the deadlines that actix-identity itself offers, and so on. The site runs in this
//! process and no socket is involved, so that nothing but the application is measured.
//!
//! Two things are measured. Instructions, because they are the same on a busy machine and a quiet
//! one: valgrind runs this program again, and counts what is done between a request and its answer.
//! And nanoseconds, because instructions are not time: all there is where a Redis server does some of
//! the work, one request after the other.
//!
//! ```text
//! cargo bench --bench request_cost              # about a minute
//! cargo bench --bench request_cost -- --quick   # fewer rounds
//! ```
//!
//! A target that is missed is printed, and no failure: this is a measurement. A site that does not
//! answer as it should is one. Run without `--bench`, only that is looked at.

mod instructions;
mod nanoseconds;
mod report;
mod site;
mod ways;

use std::{env, error::Error, process::ExitCode};

use actix_web::rt::System;

use crate::{
    report::Figures,
    ways::{LOGINS, Way},
};

/// Whatever goes wrong is printed, and ends the program.
type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    match run(&env::args().skip(1).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("request_cost: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[String]) -> Outcome<()> {
    let has = |flag| args.iter().any(|arg| arg == flag);
    match args {
        [flag, way] if flag == instructions::FLAG => System::new().block_on(serve(way.parse()?)),
        _ if has("--bench") => measure(if has("--quick") { 100 } else { 1_000 }),
        _ => {
            System::new().block_on(ways::open_all())?;
            println!("all {} ways answer as they should", Way::ALL.len());
            Ok(())
        }
    }
}

fn measure(rounds: usize) -> Outcome<()> {
    instructions::find_valgrind()?;
    let nanoseconds = System::new().block_on(async {
        let visits = ways::open_all().await?;
        nanoseconds::medians(&visits, rounds).await
    })?;
    let instructions = instructions::count_all()?;
    report::print(&Figures { instructions, nanoseconds });
    Ok(())
}

/// What this program does under valgrind.
async fn serve(way: Way) -> Outcome<()> {
    way.open().await?.replay(LOGINS.into()).await.map(drop)
}
