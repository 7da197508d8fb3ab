//! The flags and the help of `sexton schedule` and `sexton serve`.

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, Command};

fn name() -> Arg {
    Arg::new("name").value_name("NAME").required(true).help("The schedule")
}

/// The command.
pub fn command() -> Command {
    let of = |verb: &'static str, about: &'static str| Command::new(verb).about(about).arg(name());
    Command::new("schedule")
        .about("What runs by itself and when; add, switch, approve, run now")
        .long_about(
            "What runs by itself and when. Schedules stand in the configuration (`[schedule.NAME]`) or are added here, which needs \
             no restart. They run in `sexton serve`, or in any other scheduler: `sexton schedule cron` and `systemd` print what to \
             put there.\n\nOperations of severity HIGH and CRITICAL, and everything in a schedule that was added here, are only \
             shown until somebody approves them.",
        )
        .after_help(
            "Examples:\n  sexton schedule                                  list them\n  sexton schedule next nightly --count 12\n  \
             sexton schedule add nightly --cron '30 3 * * *' --zone Europe/Paris --run daily\n  \
             sexton schedule approve nightly --max-rows 100000\n  sexton schedule run nightly",
        )
        .subcommand(Command::new("list").about("All of them with their next and last times"))
        .subcommand(of("show", "One of them: what it says, the next five times, what came of the last ten"))
        .subcommand(
            Command::new("next")
                .about("The next times, in the zone and in UTC")
                .arg(Arg::new("name").value_name("NAME").help("The schedule [default: all]"))
                .arg(
                    Arg::new("count")
                        .long("count")
                        .value_name("N")
                        .default_value("5")
                        .value_parser(clap::value_parser!(u16).range(1..=1000))
                        .help("How many"),
                )
                .arg(
                    Arg::new("cron")
                        .long("cron")
                        .value_name("LINE")
                        .conflicts_with("name")
                        .help("Of a line that is no schedule yet, to try it"),
                )
                .arg(Arg::new("zone").long("zone").value_name("ZONE").default_value("UTC").help("The zone of that line")),
        )
        .subcommand(add())
        .subcommand(of("remove", "Forget one that was added"))
        .subcommand(of("enable", "Let it run by itself again"))
        .subcommand(of("disable", "Let it no longer run by itself"))
        .subcommand(
            of("approve", "Allow it to do what it is: its operations with all of their options as they are now").arg(
                Arg::new("max-rows")
                    .long("max-rows")
                    .value_name("N")
                    .value_parser(clap::value_parser!(u64))
                    .help("No run may take more rows than this"),
            ),
        )
        .subcommand(of("withdraw", "Take the approval back: it is only shown from now on"))
        .subcommand(of("run", "Run it now, whatever the time, with its own options and approval"))
        .subcommand(Command::new("cron").about("Lines for a crontab that do the same"))
        .subcommand(of("systemd", "A service and a timer for systemd that do the same"))
}

fn add() -> Command {
    let text = |id: &'static str, value: &'static str, help: &'static str| {
        Arg::new(id).long(id).value_name(value).help(help)
    };
    Command::new("add")
        .about("Add one, or change one that was added; no restart is needed")
        .arg(name())
        .arg(text("cron", "LINE", "When: five fields, such as `30 3 * * *` or `0 4 * * sun#1`"))
        .arg(text("zone", "ZONE", "The zone of these times [default: UTC]"))
        .arg(
            text("run", "NAME", "Operations and groups, in this order; several times, or with commas")
                .required(true)
                .action(ArgAction::Append)
                .value_delimiter(','),
        )
        .arg(
            text("after", "NAME", "Instead of times: when these schedules have done their work")
                .action(ArgAction::Append)
                .value_delimiter(','),
        )
        .arg(text("description", "TEXT", "What people read"))
        .arg(
            Arg::new("dry-run")
                .long("dry-run")
                .action(ArgAction::SetTrue)
                .help("Only show what would be done"),
        )
        .arg(crate::cli::flags::set())
        .arg(
            text("tell", "EVENT", "Tell of these: success, failure, warnings; several times, or with commas [default: as `[notifications]` says]")
                .action(ArgAction::Append)
                .value_delimiter(',')
                .value_parser(PossibleValuesParser::new(["success", "failure", "warnings", "nothing"])),
        )
        .arg(
            text("channel", "NAME", "Where it is told: channels of the configuration")
                .action(ArgAction::Append)
                .value_delimiter(',')
                .requires("tell"),
        )
        .arg(
            text("recipient", "ADDRESS", "Who is told, instead of those that the channels name")
                .action(ArgAction::Append)
                .value_delimiter(',')
                .requires("tell"),
        )
        .arg(
            text("alert-threshold", "N", "Its checks alert when they find more duplicates than this")
                .value_parser(clap::value_parser!(u64)),
        )
        .arg(Arg::new("disabled").long("disabled").action(ArgAction::SetTrue).help("Add it switched off"))
}

/// `sexton serve`.
pub fn serve() -> Command {
    Command::new("serve")
        .about("Run what is due, until it is told to stop")
        .long_about(
            "Run what is due, until it is told to stop. Each time of a schedule is run once, however many processes serve the same \
             state; when one dies, another goes on with its run from the last batch.\n\nSIGINT and SIGTERM end the batch at work; \
             what is left of its run goes on when it is served again.",
        )
        .after_help("Examples:\n  sexton serve\n  sexton serve --listen 127.0.0.1:7979 --workers 4")
        .arg(
            Arg::new("listen")
                .long("listen")
                .value_name("ADDRESS")
                .value_parser(clap::value_parser!(std::net::SocketAddr))
                .help("Answer the web page and the REST API at this address and port, such as 127.0.0.1:7979; they need tokens, see `sexton token`"),
        )
        .args(at_work())
}

/// `sexton worker`.
pub fn worker() -> Command {
    Command::new("worker")
        .about("Run what is due beside other processes, without the page and the API")
        .long_about(
            "Run what is due beside other processes, without the page and the API. As many as you like, on as many machines as you \
             like, share the work of one state, which is in a PostgreSQL database (`[state]` with `url`). Each time of a schedule is \
             run once; when a worker dies, or stands still, another one goes on with its run from the last batch, and the one that \
             wakes up later can do nothing more about it.\n\nSIGINT and SIGTERM end the batch at work; another worker goes on with \
             what is left at once.",
        )
        .after_help("Examples:\n  sexton worker\n  sexton worker --workers 4 --listen 127.0.0.1:7980")
        .arg(
            Arg::new("listen")
                .long("listen")
                .value_name("ADDRESS")
                .value_parser(clap::value_parser!(std::net::SocketAddr))
                .help("Answer /live, /ready, /health and /metrics at this address and port, and nothing else"),
        )
        .args(at_work())
}

/// How a process that stays works.
fn at_work() -> [Arg; 2] {
    [
        Arg::new("workers")
            .long("workers")
            .value_name("N")
            .default_value("2")
            .value_parser(clap::value_parser!(u16).range(1..=64))
            .help("How many runs at a time; there is never more than one on a database"),
        Arg::new("lease")
            .long("lease")
            .value_name("SECONDS")
            .default_value("60")
            .value_parser(clap::value_parser!(u16).range(1..=3600))
            .help("After so long without a sign of life others go on with what this process has"),
    ]
}
