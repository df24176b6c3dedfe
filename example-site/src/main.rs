//! Binary of the example site: `cargo run -p example-site -- --help`.

use std::{
    io::{self, IsTerminal, Write},
    net::SocketAddr,
    process::ExitCode,
};

use clap::Parser;
use example_site::{Flags, Site, SiteError, USERS};
use tracing_subscriber::filter::{EnvFilter, LevelFilter};

#[actix_web::main]
async fn main() -> ExitCode {
    let flags = Flags::parse();
    match serve(flags).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(flags: Flags) -> Result<(), SiteError> {
    start_log()?;
    let site = Site::start(flags.into_settings()?).await?;
    // A closed standard output must not stop the site.
    announce(site.address).ok();
    site.server.await.map_err(SiteError::Stopped)
}

/// Writes the log to standard error. `RUST_LOG` sets the levels.
fn start_log() -> Result<(), SiteError> {
    let filter =
        EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).from_env()?;
    let colours = io::stderr().is_terminal();
    let log = tracing_subscriber::fmt().with_ansi(colours).with_writer(io::stderr);
    log.with_env_filter(filter).init();
    Ok(())
}

/// Prints the address and the accounts. Tests read the address from the first line.
fn announce(address: SocketAddr) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "listening on http://{address}")?;
    writeln!(out, "\nDemo accounts (name / password):")?;
    for user in &USERS {
        writeln!(out, "  {} / {}{}", user.name, user.password, user.note())?;
    }
    out.flush()
}
