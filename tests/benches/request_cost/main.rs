//! Cost of a request with and without session-expire.
//!
//! Each variant of a small site differs in one thing: without session-expire, with it, with the
//! deadlines of actix-identity, and so on. The site runs in this process, without a socket: only
//! the application is measured.
//!
//! Instructions do not depend on the load of the machine: valgrind runs this program again, and
//! counts them between a request and its response. Nanoseconds include the work of a Redis server.
//!
//! ```text
//! cargo bench --bench request_cost              # about a minute
//! cargo bench --bench request_cost -- --quick   # fewer rounds
//! ```
//!
//! A missed target is printed but is not a failure. A wrong response is a failure. Without
//! `--bench` only the responses are checked.

mod instructions;
mod nanoseconds;
mod report;
mod site;
mod variants;

use std::{env, error::Error, process::ExitCode};

use actix_web::rt::System;

use crate::{
    report::Figures,
    variants::{LOGINS, Variant},
};

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
        [flag, variant] if flag == instructions::FLAG => {
            System::new().block_on(serve(variant.parse()?))
        }
        _ if has("--bench") => measure(if has("--quick") { 100 } else { 1_000 }),
        _ => {
            System::new().block_on(variants::open_all())?;
            println!("the responses of all {} variants are correct", Variant::ALL.len());
            Ok(())
        }
    }
}

fn measure(rounds: usize) -> Outcome<()> {
    instructions::find_valgrind()?;
    let nanoseconds = System::new().block_on(async {
        let visits = variants::open_all().await?;
        nanoseconds::medians(&visits, rounds).await
    })?;
    let instructions = instructions::count_all()?;
    report::print(&Figures { instructions, nanoseconds });
    Ok(())
}

/// Serves the requests of one variant, under valgrind.
async fn serve(variant: Variant) -> Outcome<()> {
    variant.open().await?.replay(LOGINS.into()).await.map(drop)
}
