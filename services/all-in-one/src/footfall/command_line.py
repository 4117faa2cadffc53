"""The `footfall` command: its words, options and help. What a command does stands in a module of its own.

Each body imports what it needs, so that `footfall event` does not load four services first.
"""

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from footfall.options import Data, Json
from footfall.outcomes import finish
from footfall.plan_commands import plan_commands
from footfall.project_commands import project_commands
from footfall.rejected_commands import rejected_commands
from footfall.user_commands import user_commands

app = typer.Typer(
    name="footfall",
    help="See what your customers are doing, live, and act on it.",
    epilog="Begin with: footfall up",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)
rule_commands = typer.Typer(no_args_is_help=True, help="Look at rules before they act.")
import_commands = typer.Typer(no_args_is_help=True, help="Bring history in from files, and watch it come.")
app.add_typer(project_commands, name="project")
app.add_typer(rule_commands, name="rules")
app.add_typer(import_commands, name="import")
app.add_typer(rejected_commands, name="rejected")
app.add_typer(plan_commands, name="plan")
app.add_typer(user_commands, name="user")

Kafka = Annotated[
    str,
    typer.Option(
        "--kafka", metavar="HOST:PORT,…", envvar="FOOTFALL_KAFKA", help="Kafka's bootstrap servers."
    ),
]
Account = Annotated[str | None, typer.Option(metavar="ID", help="The account of every line that names none.")]
SourceKind = Annotated[
    Literal["access-log", "ndjson"],
    typer.Argument(metavar="SOURCE", help="access-log (Apache, nginx) or ndjson (events, one a line)."),
]
ImportFile = Annotated[Path, typer.Argument(metavar="FILE", help="The file; gzip is recognised.")]


@app.command()
def up(
    data: Annotated[
        Path, typer.Option("--data", metavar="DIR", help="Where everything is kept; made when missing.")
    ] = Path(".footfall"),
    host: Annotated[
        str, typer.Option(envvar="FOOTFALL_HOST", help="The address to listen on; 0.0.0.0 for all.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(envvar="FOOTFALL_PORT", min=0, max=65535, help="The port; 0 takes a free one.")
    ] = 8087,
    log: Annotated[
        Literal["postgres", "kafka"],
        typer.Option(envvar="FOOTFALL_LOG", help="What keeps the events: the embedded database, or Kafka."),
    ] = "postgres",
    kafka: Kafka = "",
    demo: Annotated[
        bool, typer.Option("--demo", help="Add project demo: an invented company's customers, live.")
    ] = False,
    ready_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Written once everything answers: url, keys, login link, pid."),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Check the settings, say what is wrong, exit.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Start Footfall: database, log and the four services, in one process on one port.

    The first start makes project main and prints its keys. Ctrl-C stops everything; the data stays in DIR.

    \b
    footfall up
    footfall up --demo
    footfall up --port 9000 --data /srv/footfall
    footfall up --log kafka --kafka kafka-1:9092
    """
    from footfall.launch import Launch
    from footfall.start import check_settings, start

    options = Launch(data, host, port, log, kafka, demo)
    if check:
        raise typer.Exit(check_settings(options, os.environ, as_json=as_json))
    raise typer.Exit(start(options, os.environ, ready_file=ready_file, as_json=as_json))


@app.command()
def login(
    project: Annotated[str | None, typer.Option(metavar="ID", help="Only for this project.")] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Print a link that logs a browser in, once, within 15 minutes.

    \b
    footfall login
    """
    from footfall.administration import log_in

    finish(log_in(project, data, os.environ, as_json=as_json))


@app.command()
def event(
    user: Annotated[str, typer.Argument(metavar="USER", help="Who did it: an id or an address.")],
    action: Annotated[str, typer.Argument(metavar="ACTION", help='What they did, such as "opened report".')],
    account: Annotated[str | None, typer.Option(metavar="ID", help="The customer they belong to.")] = None,
    properties: Annotated[
        list[str] | None,
        typer.Option(
            "--property", metavar="NAME=VALUE", help="A property; numbers, true and JSON are read as such."
        ),
    ] = None,
    time: Annotated[
        str | None, typer.Option(metavar="TIME", help="When, as 2026-11-22T09:30:00Z [default: now].")
    ] = None,
    event_id: Annotated[
        str | None,
        typer.Option("--id", metavar="ID", help="Its id; sent twice with the same id it counts once."),
    ] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Send one event and wait until it is stored.

    \b
    footfall event ada@acme.example "opened report" --account acme
    footfall event ada@acme.example upgraded --property plan=pro --property seats=5
    """
    from footfall.sending import event_of, send_event

    body = event_of(user, action, {"account": account, "time": time, "id": event_id}, properties or [])
    finish(send_event(body, data, os.environ, as_json=as_json))


@app.command()
def topics(
    create: Annotated[bool, typer.Option("--create", help="Create the topics that are missing.")] = False,
    kafka: Kafka = "",
    partitions: Annotated[
        int | None,
        typer.Option(min=1, help="For new topics; never changes later [default: Kafka 16, else 8]."),
    ] = None,
    replication: Annotated[
        int | None, typer.Option(min=1, help="Copies of each new topic; Kafka only [default: 3].")
    ] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Show the log's topics and what is wrong with them; exit code 1 when something is.

    \b
    footfall topics
    footfall topics --create --kafka kafka-1:9092,kafka-2:9092
    """
    from footfall.log_topics import Creation, show_topics

    creation = Creation(partitions, replication) if create else None
    finish(show_topics(kafka, data, os.environ, create=creation, as_json=as_json))


@app.command()
def migrate(data: Data = None, as_json: Json = False) -> None:
    """Bring the database's schemas up to this release: FOOTFALL_DATABASE_URL, else the embedded one.

    footfall up does this by itself; services started one by one need it before each release.

    \b
    FOOTFALL_DATABASE_URL=postgresql://… footfall migrate
    """
    from footfall.databases import migrate_database

    finish(migrate_database(data, os.environ, as_json=as_json))


@app.command()
def verify(
    repair: Annotated[
        bool, typer.Option("--repair", help="Put right what differs; without it nothing is changed.")
    ] = False,
    project: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only this project, by its id or name.")
    ] = None,
    kafka: Kafka = "",
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Count everything again, from the log or from history, and compare; exit code 1 when something differs.

    \b
    footfall verify
    footfall verify --repair
    """
    from footfall import verification

    work = verification.verify(kafka, data, os.environ, project=project, repair=repair, as_json=as_json)
    finish(work)


@rule_commands.command("check")
def check_rules(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file with rules.")],
    as_json: Json = False,
) -> None:
    """Say everything that is wrong with the rules in a file; exit code 1 when something is.

    \b
    footfall rules check trial.rules
    """
    from footfall import rule_files

    finish(rule_files.check_rules(file, as_json=as_json))


@import_commands.command("plan")
def plan_import(
    source: SourceKind, file: ImportFile, account: Account = None, data: Data = None, as_json: Json = False
) -> None:
    """Say what an import would bring, from the file's beginning; nothing is stored or sent on.

    \b
    footfall import plan access-log /var/log/apache2/access.log
    """
    from footfall import import_runs

    upload = import_runs.Upload(source, file, account)
    finish(import_runs.plan_import(upload, data, os.environ, as_json=as_json))


@import_commands.command("run")
def run_import(
    source: SourceKind,
    file: ImportFile,
    account: Account = None,
    again: Annotated[
        bool, typer.Option("--again", help="Run the same bytes once more; no count changes.")
    ] = False,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Upload a file and watch it being imported; the same file joins the run it already has.

    Ctrl-C ends the watching, not the import.

    \b
    footfall import run access-log /var/log/apache2/access.log
    footfall import run ndjson history.ndjson.gz --account acme
    """
    from footfall import import_runs

    upload = import_runs.Upload(source, file, account)
    finish(import_runs.run_import(upload, data, os.environ, again=again, as_json=as_json))


@import_commands.command("status")
def show_imports(
    run: Annotated[
        str | None, typer.Argument(metavar="RUN", help="A run's id; without it, the newest runs.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Watch the run until it ends.")] = False,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Show imports, or one of them; exit code 1 when it failed.

    \b
    footfall import status
    footfall import status imp_0f3a --follow
    """
    from footfall import import_runs

    finish(import_runs.show_imports(run, data, os.environ, follow=follow, as_json=as_json))
