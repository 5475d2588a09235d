"""What the codes of errors mean that are no mistakes of wiring, and what to do about them.

docs/errors.md is generated from this table and that of `typedflow.compiler.explanations`, and `typedflow explain` reads
both. For people who read about a code, so nothing else may load it.
"""

from __future__ import annotations

from typing import Final

from typedflow.compiler.explanations import Explanation

COMMANDS: Final = (
    Explanation(
        "AmbiguousName",
        "The last part of a name was given, and several entities have it.",
        "Give more of the name; the message lists the matches.",
        "typedflow launch train               # evaluation.train, pipeline.train",
    ),
    Explanation(
        "BreakingChange",
        "A version that is to be active breaks what the active one promises to whoever uses it.",
        "The message says which variables, and whom it concerns. Keep the interface, or take --allow-breaking.",
        "typedflow activate nightly v2",
    ),
    Explanation(
        "Bundle",
        "The code can't be packed safely, or a bundle can't be unpacked safely.",
        "Keep keys, `.env` files and links that lead outside out of the packages' folders.",
        "typedflow register ~                 # a home folder is no package",
    ),
    Explanation(
        "BundleTooLarge",
        "The code bundle is larger than 64 MiB; the message lists the largest files.",
        "Keep data out of the packages' folders and give it to tasks as File inputs.",
        "typedflow register pipeline.py       # beside a folder `weights` with 2 GiB",
    ),
    Explanation(
        "Compile",
        "The wiring of a workflow is wrong; every mistake is told with a code of its own.",
        "See the mistakes' own codes.",
        "typedflow check pipeline.py",
    ),
    Explanation(
        "Definition",
        "A task, a workflow or a launch plan can't be defined as it is written.",
        "Do what the help below the message says.",
        "@task(retries=-1)",
    ),
    Explanation(
        "Error",
        "An error that has no code of its own.",
        "Read its message.",
        "typedflow ...",
    ),
    Explanation(
        "ExecutionFailed",
        "An execution ended other than SUCCEEDED; the message names the node and says why.",
        "Read the node's log, mend the cause, and launch again: what has succeeded is taken from the cache.",
        "typedflow logs EXECUTION NODE",
    ),
    Explanation(
        "Fingerprint",
        "The code that a cached task depends on can't be read, or a pattern in `depends_on` is not legal.",
        'Name files below the import root, or take the fingerprint\'s place with `Cache(version="1")`.',
        'Cache(depends_on=("/etc/conf.yaml",))',
    ),
    Explanation(
        "Integrity",
        "Bytes are not what their digest says: somebody changed or cut them.",
        "Restore the object, or run again what made it.",
        "typedflow get executions EXECUTION",
    ),
    Explanation(
        "Load",
        "A file is not there, is not Python, or raises while it is imported.",
        "Mend the line that the message names; `python FILE` shows the same.",
        "typedflow check pipelin.py",
    ),
    Explanation(
        "MissingExtra",
        "A library that is needed here is not installed.",
        "Install the extra that the message names.",
        "pip install 'typedflow[demo]'",
    ),
    Explanation(
        "MissingInput",
        "An input without a default was not given.",
        "Give it; `--help` lists inputs with types and defaults.",
        "typedflow run pipeline.py training   # needs --trees",
    ),
    Explanation(
        "NonRecoverable",
        "A task raised `NonRecoverable`: no retry would help.",
        "Mend the cause and launch again.",
        'raise NonRecoverable("the table is empty")',
    ),
    Explanation(
        "NotAsked",
        "The node has no cache key to explain: it has not started, or runs no task; a map has one for each slot.",
        "Wait until it has started, or ask for a slot.",
        "typedflow cache explain EXECUTION train[0]",
    ),
    Explanation(
        "NotFound",
        "There is no such entity, execution, node, bundle or object.",
        "See what there is with `typedflow get`; the help names what is spelled nearly the same.",
        "typedflow get executions trainin",
    ),
    Explanation(
        "NotHere",
        "What is called runs elsewhere only: it is registered elsewhere, or is a program in an image.",
        "Mock it in a test, or launch it where it is registered.",
        "with mock_task(elsewhere, returns=3):  # a @reference_task",
    ),
    Explanation(
        "ObjectMissing",
        "An object that a value points at is no longer in the store.",
        "Run again what made it.",
        "typedflow launch training --overwrite-cache",
    ),
    Explanation(
        "PermissionDenied",
        "No credentials were given, wrong ones, or ones without the right.",
        "Set TYPEDFLOW_TOKEN, or unset TYPEDFLOW_ADMIN so that the server of this home is used.",
        "TYPEDFLOW_TOKEN=... typedflow get tasks",
    ),
    Explanation(
        "ServerUnreachable",
        "Nothing answers at the server's address.",
        "Start it with `typedflow up`, or set TYPEDFLOW_ADMIN to where it is.",
        "TYPEDFLOW_ADMIN=localhost:1 typedflow get tasks",
    ),
    Explanation(
        "Setting",
        "A setting in `typedflow.toml`, `pyproject.toml` or the environment is unknown or not legal.",
        "Mend it where the message says.",
        'domain = "Production!"               # typedflow.toml',
    ),
    Explanation(
        "Signals",
        "What a test tells gates, in `local(signals=...)`, is not what they wait for, or a gate was told nothing.",
        "Name the gates as the message lists them; True and False answer approvals.",
        'local(signals={"review": True})',
    ),
    Explanation(
        "Unimplemented",
        "What was asked for can be written, checked and registered, and can't be run yet.",
        "The message names what it is; the rest of the workflow runs without it.",
        "typedflow launch nightly",
    ),
    Explanation(
        "UnknownTask",
        "The node ran a task that the file does not define.",
        "Name the file that defines it.",
        "typedflow run pipeline.py --from-execution x0c5 --node prep",
    ),
    Explanation(
        "UnknownWorkflow",
        "The file has no workflow or task of that name.",
        "Use one of those that the help names.",
        "typedflow run pipeline.py trainin",
    ),
    Explanation(
        "UnsupportedStore",
        "There is no object store for the URL's scheme.",
        "Use one of those that the help names.",
        "TYPEDFLOW_HOME=ftp://host",
    ),
    Explanation(
        "Usage",
        "An option or an argument is wrong.",
        "`--help` lists what there is.",
        "typedflow launch",
    ),
    Explanation(
        "VersionConflict",
        "Other content is registered under this version already, and versions never change.",
        "Choose another version, or none: then it is a hash of the content.",
        "typedflow register pipeline.py --version v1",
    ),
)
"""Of commands, clients and direct calls."""

ATTEMPTS: Final = (
    Explanation(
        "Aborted",
        "Somebody aborted the execution; the message says who and why.",
        "Launch it again: what has succeeded is taken from the cache.",
        'typedflow abort EXECUTION --reason "wrong data"',
    ),
    Explanation(
        "BranchFailed",
        "A conditional came to a case that its author ends with `fail`.",
        "The message is the author's.",
        'conditional("size").if_(n < 10).then(small(n=n)).else_().fail("too large")',
    ),
    Explanation(
        "ExitCode",
        "The task's process exited before the task returned.",
        "Raise an exception to fail; don't call `sys.exit` or `os._exit` in a task.",
        "os._exit(3)",
    ),
    Explanation(
        "InvalidInputs",
        "The inputs that an execution was created with do not fit its workflow.",
        "Launch it again through a current client.",
        "typedflow launch training",
    ),
    Explanation(
        "InvalidOutputs",
        "What an attempt reported is not what its task gives.",
        "Run the same release of typedflow on all sides. The attempt is tried again.",
        "typedflow version",
    ),
    Explanation(
        "OutcomeRefused",
        "The server refused what an attempt reported; the message says why.",
        "Mostly the result is too large to be told: return a File.",
        "return [...]                         # of 100 MB",
    ),
    Explanation(
        "OutOfMemory",
        "The task's processes had more memory than the task asks for, and were killed.",
        "Ask for more, or use less.",
        '@task(resources=Resources(mem="16Gi"))',
    ),
    Explanation(
        "Rejected",
        "Somebody did not agree to what a gate asked for.",
        "The message says who, and why.",
        "typedflow signal EXECUTION NODE reject",
    ),
    Explanation(
        "RunnerFailed",
        "The task's process could not write its outcome.",
        "Make room on the disk; the node's log has more. The attempt is tried again.",
        "df -h ~/.typedflow",
    ),
    Explanation(
        "SecretNotFound",
        "A secret that the task asks for is not there.",
        "Set the variable that the message names in the server's environment, and launch again.",
        "TYPEDFLOW_SECRET_HF_TOKEN=... typedflow up",
    ),
    Explanation(
        "ServerStopped",
        "The server was stopped while the attempt ran.",
        "Nothing: the attempt is made again when the server is up, and no retry is used.",
        "typedflow up",
    ),
    Explanation(
        "StorageError",
        "An input or an output could not be stored or fetched.",
        "Make room, or let the store be reached. The attempt is tried again.",
        "df -h ~/.typedflow",
    ),
    Explanation(
        "StoredElsewhere",
        "A part of a value is asked for that is too large to be kept inline, where it can't be fetched.",
        "Return the part from a task of its own.",
        "return big.field                     # as a workflow's output",
    ),
    Explanation(
        "TaskNotFound",
        "The code bundle's module has no task of that name.",
        "Define tasks at the top level of their modules, and register the code again.",
        "def make(): ...                      # with a @task inside",
    ),
    Explanation(
        "TimedOut",
        "An attempt ran, or waited, longer than its limit, or a node took longer than its deadline.",
        "The message says which; raise it with `Timeout(...)`.",
        "@task(timeout=Timeout(run=timedelta(hours=2)))",
    ),
    Explanation(
        "TooManySlots",
        "A map was given a list that is too long.",
        "Give each slot a part of the list.",
        "map_task(train)(batch=batches)",
    ),
    Explanation(
        "WorkerLost",
        "The attempt's process, or its machine, is gone without a word.",
        "Mostly memory: let the task use less, or run fewer at once. The attempt is tried again at no cost.",
        "dmesg | tail",
    ),
)
"""Of nodes: `error.code`, besides the names of exceptions that tasks raise."""

SERVERS: Final = (
    Explanation(
        "AddressRefused",
        "The server can't listen on the port.",
        "Choose another one, or 0 for any that is free.",
        "typedflow up --port 0",
    ),
    Explanation(
        "AlreadyCollecting",
        "Somebody makes room on the server just now.",
        "Wait for its end.",
        "typedflow gc",
    ),
    Explanation(
        "AttemptEnded",
        "A runner wants to begin an attempt that has ended.",
        "Nothing: it exits, and the outcome that was first counts.",
        "Attempt.Begin",
    ),
    Explanation(
        "AttemptTaken",
        "Another runner was admitted to the attempt; one is admitted to each.",
        "Nothing: the other one goes on, and when it is lost its machine says so, or is given up.",
        "Attempt.Begin",
    ),
    Explanation(
        "BundleMissing",
        "A template names a code bundle that was not uploaded.",
        "Upload it with Data.PutBundle before Registry.Register.",
        "Registry.Register",
    ),
    Explanation(
        "DatabaseInUse",
        "Another server has the PostgreSQL database.",
        "Stop that one, or give this one a database of its own.",
        "typedflow up --database postgresql://...",
    ),
    Explanation(
        "DatabaseUnavailable",
        "The server's database is locked, full, read-only or gone.",
        "Try again; the server's log has what the database said.",
        "df -h ~/.typedflow",
    ),
    Explanation(
        "DatabaseUnfit",
        "What is at the database's place is no database, or no server's, or can't be reached or written to.",
        "Restore it, make room, let this user in, or set TYPEDFLOW_HOME to another folder; the message says which.",
        "TYPEDFLOW_HOME=/tmp/new typedflow up",
    ),
    Explanation(
        "DiskFull",
        "The server's disk is full; nothing was half done.",
        "Make room in its home, and repeat the call.",
        "df -h ~/.typedflow",
    ),
    Explanation(
        "ExecutionEnded",
        "An attempt belongs to an execution that has ended.",
        "Nothing: its outcome would count for nothing.",
        "Attempt.Begin",
    ),
    Explanation(
        "Fenced",
        "A propeller speaks for an execution that is another's by now.",
        "Nothing: the other one goes on.",
        "Propeller.LaunchChild",
    ),
    Explanation(
        "HomeInUse",
        "Another server has this home.",
        "Use that one, stop it, or set TYPEDFLOW_HOME to another folder.",
        "typedflow up                         # twice",
    ),
    Explanation(
        "HomeUnfit",
        "The home can't be written to: its disk is full, or it belongs to somebody else.",
        "Make room there, let this user write to it, or set TYPEDFLOW_HOME to another folder.",
        "TYPEDFLOW_HOME=/tmp/new typedflow up",
    ),
    Explanation(
        "HostRefused",
        "An HTTP request names another host than this server: a page may be trying to reach it by rebinding names.",
        "Call it by the address that it printed.",
        "curl -H 'Host: evil.example' ...",
    ),
    Explanation(
        "InsecureAddress",
        "The server is to listen where other machines reach it, and nothing is encrypted.",
        "Listen on 127.0.0.1, or accept the risk with --insecure.",
        "typedflow up --host 0.0.0.0",
    ),
    Explanation(
        "InvalidDigest",
        "A digest is not `b3:` and 64 hexadecimal digits.",
        "Send the digest as it was given.",
        "Data.GetObject",
    ),
    Explanation(
        "InvalidPageSize",
        "More rows are asked for than a page has.",
        "Ask for at most 1,000.",
        "Registry.ListEntities",
    ),
    Explanation(
        "InvalidPageToken",
        "A page token is not one of this list.",
        "Send `next_page_token` of the page before with the same filters, or none to begin.",
        "Registry.ListEntities",
    ),
    Explanation(
        "InvalidRequest",
        "A request is not what its call takes; `where` is the path of the field.",
        "Mend the field; `idl/` says what it is.",
        "Executions.CreateExecution",
    ),
    Explanation(
        "LogUnavailable",
        "The propeller that ran the attempt is not connected.",
        "Start it; the log lies with it.",
        "typedflow logs EXECUTION NODE",
    ),
    Explanation(
        "NewerDatabase",
        "The database was made by a newer typedflow.",
        "Upgrade typedflow, or start with another home.",
        "pip install -U typedflow",
    ),
    Explanation(
        "NoAttempt",
        "The node has had no attempt: it was skipped, taken from the cache, or has not begun.",
        "`typedflow get nodes` says which.",
        "typedflow run pipeline.py --from-execution x0c5 --node prep",
    ),
    Explanation(
        "NoLog",
        "The node was not run, so it has no log.",
        "If its outputs come from the cache, the help names the node that made them.",
        "typedflow logs EXECUTION NODE",
    ),
    Explanation(
        "NotAdmitted",
        "A runner reports on an attempt to which another one was admitted, or none.",
        "Nothing: its outcome does not count.",
        "Attempt.Finish",
    ),
    Explanation(
        "NotEnded",
        "Only what has ended can be recovered.",
        "Wait for its end, or abort it first.",
        "typedflow recover EXECUTION",
    ),
    Explanation(
        "NotWaiting",
        "The node is no gate, or waits for nobody.",
        "The message names those that wait.",
        "typedflow signal EXECUTION NODE 5",
    ),
    Explanation(
        "ObjectsGone",
        "Something refers to objects that were removed from the store: nothing did for longer than the grace period.",
        "Launch again, which uploads its inputs; an attempt is made again by itself, and no retry is used.",
        "typedflow launch nightly --table old.csv",
    ),
    Explanation(
        "OriginRefused",
        "A page of another site calls the server.",
        "Call it from a program, or from the server's own pages.",
        "curl -H 'Origin: https://evil.example' ...",
    ),
    Explanation(
        "PropellerFailed",
        "The embedded propeller failed several times in a row, and the server stopped.",
        "Its log has every failure; executions go on when it is up again.",
        "typedflow up",
    ),
    Explanation(
        "ProtocolMismatch",
        "A propeller and the server speak different versions of their protocol.",
        "Run the same release of typedflow on both sides.",
        "typedflow propeller run",
    ),
    Explanation(
        "ServerFailed",
        "The server met a mistake of its own.",
        "Its log has the details under the incident's number.",
        "typedflow get tasks",
    ),
    Explanation(
        "StateConflict",
        "What is asked for is not possible now: ended already, or changed by somebody else meanwhile.",
        "Look at the present state, and decide anew.",
        "typedflow abort EXECUTION            # that has ended",
    ),
)
"""Of servers and the calls between them, as `reason` in a call's details."""
