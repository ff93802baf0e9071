//! The commands: one file for each noun, and what they share.

pub(crate) mod agent;
pub(crate) mod audit;
pub(crate) mod backup;
pub(crate) mod category;
pub(crate) mod completion;
pub(crate) mod config;
pub(crate) mod db;
pub(crate) mod export;
pub(crate) mod failover;
pub(crate) mod group;
pub(crate) mod import;
pub(crate) mod instance;
pub(crate) mod lab;
pub(crate) mod message;
pub(crate) mod mirror;
pub(crate) mod pki;
pub(crate) mod pool;
pub(crate) mod restore;
pub(crate) mod room;
pub(crate) mod secret;
pub(crate) mod serve;
pub(crate) mod shared;
pub(crate) mod shell;
pub(crate) mod sites;
pub(crate) mod status;
pub(crate) mod store;
pub(crate) mod token;
pub(crate) mod topology;
pub(crate) mod user;
pub(crate) mod verify;
pub(crate) mod wal;

use crate::cli::{Cli, Command, Global};
use crate::client::{Access, Client, Reach};
use crate::config::{Config, Loaded, load};
use crate::exit::{Exit, refused};
use crate::output::Output;
use anyhow::{Context as _, Result};

/// What a command is given beside its own arguments.
pub(crate) struct Context {
    /// Where results go.
    pub(crate) out: Output,
    /// Who is asked.
    pub(crate) reach: Reach,
}

impl Context {
    /// Does `work` with a client, and ends what was opened for it, however the work ended.
    pub(crate) async fn with(&self, access: Access, work: impl AsyncFnOnce(&Client) -> Result<Exit>) -> Result<Exit> {
        // A command may have to open all the data: that takes a large state, which its own future need not carry.
        let client = Box::pin(self.reach.client(access)).await?;
        let result = work(&client).await;
        let closed = client.close().await;
        let exit = result?;
        closed?;
        Ok(exit)
    }

    /// The settings.
    pub(crate) fn config(&self) -> &Config {
        &self.reach.config
    }
}

/// Runs a command to its end.
pub(crate) fn run(cli: Cli) -> Result<Exit> {
    let out = Output { json: cli.global.json, quiet: cli.global.quiet };
    // These need neither settings nor data.
    match cli.command {
        Command::Completion(args) => return completion::run(&args),
        Command::Config(verb) => return config::run(&verb, &cli.global, out),
        Command::Wal(verb) => return wal::run(&verb, out),
        Command::Pki(verb) => return pki::run(verb, out),
        Command::Topology(verb) => return topology::run(&verb, out),
        _ => {}
    }
    let Loaded { config, .. } = settings(&cli.global)?;
    let context = Context { out, reach: reach(cli.global, config)? };
    if !matches!(cli.command, Command::Serve(_) | Command::Agent(_) | Command::Witness(_)) {
        log_errors();
    }
    runtime()?.block_on(dispatch(cli.command, context))
}

async fn dispatch(command: Command, context: Context) -> Result<Exit> {
    match command {
        Command::Serve(args) => Box::pin(serve::run(args, context)).await,
        Command::User(verb) => Box::pin(user::run(verb, &context)).await,
        Command::Group(verb) => Box::pin(group::run(verb, &context)).await,
        Command::Category(verb) => Box::pin(category::run(verb, &context)).await,
        Command::Room(verb) => Box::pin(room::run(verb, &context)).await,
        Command::Message(verb) => Box::pin(message::run(verb, &context)).await,
        Command::Token(verb) => Box::pin(token::run(verb, &context)).await,
        Command::Import(args) => Box::pin(import::run(args, &context)).await,
        Command::Export(args) => Box::pin(export::run(&args, &context)).await,
        Command::Backup(args) => Box::pin(backup::run(&args, &context)).await,
        Command::Restore(args) => Box::pin(restore::run(&args, &context)).await,
        Command::Verify(args) => Box::pin(verify::run(&args, &context)).await,
        Command::Status(args) => Box::pin(status::run(&args, &context)).await,
        Command::Pool(verb) => Box::pin(pool::run(verb, &context)).await,
        Command::Db(verb) => Box::pin(db::run(verb, &context)).await,
        Command::Store(verb) => Box::pin(store::run(verb, &context)).await,
        Command::Audit(args) => Box::pin(audit::run(&args, &context)).await,
        Command::Agent(args) => Box::pin(agent::run_agent(&args, &context.config().log)).await,
        Command::Witness(args) => {
            Box::pin(agent::run_witness(&args, &context.config().server.data, &context.config().log)).await
        }
        Command::Instance(verb) => Box::pin(instance::run(verb, context.out)).await,
        Command::Mirror(verb) => Box::pin(mirror::mirror(verb, context.out)).await,
        Command::Switchover(args) => Box::pin(mirror::switchover(args, context.out)).await,
        Command::Shipping(verb) => Box::pin(mirror::shipping(verb, context.out)).await,
        Command::Shell(args) => Box::pin(shell::run(args, context.out)).await,
        Command::Failover(verb) => Box::pin(failover::run(verb, context.out)).await,
        Command::Lab(verb) => Box::pin(lab::run(verb, context.out)).await,
        // Done before a runtime was needed.
        Command::Config(_) | Command::Completion(_) | Command::Wal(_) | Command::Pki(_) | Command::Topology(_) => {
            Ok(Exit::Done)
        }
    }
}

/// The settings with the flags over them.
pub(crate) fn settings(global: &Global) -> Result<Loaded> {
    let environment = std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
    let mut loaded = load(global.config.as_deref(), environment).map_err(|e| refused(e.to_string()))?;
    if let Some(data) = &global.data {
        loaded.config.server.data.clone_from(data);
    }
    Ok(loaded)
}

fn reach(global: Global, config: Config) -> Result<Reach> {
    let token = if global.token_stdin { Some(shared::first_line_of_stdin("a token")?) } else { global.token };
    Ok(Reach { config, server: global.server, token, act_as: global.act_as })
}

/// A command that opens the data itself says what goes wrong inside; a server has its own log.
fn log_errors() {
    let level = tracing_subscriber::filter::LevelFilter::ERROR;
    let _ = tracing_subscriber::fmt().with_max_level(level).with_ansi(false).with_writer(std::io::stderr).try_init();
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the threads of this process")
}
