/**
 * A run as something to paste elsewhere: the request or the command that starts it again, or a test of one of its tasks.
 *
 * Pure. Whatever the input has in it, the text is one valid program: JSON stands in raw strings or is quoted for the
 * shell. Nothing secret is in it; a token is read from the environment.
 */
type Json = Readonly<Record<string, unknown>>;

export interface Started {
  readonly tenantId: string;
  readonly workflowName: string;
  readonly input: Json;
  /** As it was given: without what the engine adds. */
  readonly metadata: Json;
  readonly priority: number | null;
}

/** Metadata without the keys that the engine and SDKs write themselves. */
export function givenMetadata(metadata: Json): Json {
  return Object.fromEntries(Object.entries(metadata).filter(([key]) => !key.startsWith("hatchet__")));
}

export function asCurl(run: Started, origin: string): string {
  const body = {
    workflowName: run.workflowName,
    input: run.input,
    ...(Object.keys(run.metadata).length > 0 && { additionalMetadata: run.metadata }),
    ...(run.priority !== null && { priority: run.priority }),
  };
  return [
    `curl --fail-with-body -X POST ${forShell(`${origin}/api/v1/stable/tenants/${run.tenantId}/workflow-runs/trigger`)}`,
    `  -H "Authorization: Bearer $HATCHET_CLIENT_TOKEN"`,
    `  -H 'Content-Type: application/json'`,
    `  --data-binary ${forShell(JSON.stringify(body))}`,
  ].join(" \\\n");
}

/**
 * `broadaxe trigger`, for a POSIX shell. The input comes by standard input, where nothing in it has a meaning of its own.
 * The command line says metadata as text: `unsaid` names what is something else in this run, or cannot be said.
 */
export function asCli(run: Started, origin: string): { readonly text: string; readonly unsaid: readonly string[] } {
  const said = Object.entries(run.metadata).filter(([key]) => key !== "" && !key.includes("="));
  const hasInput = Object.keys(run.input).length > 0;
  const flags = [
    ...(hasInput ? ["--input -"] : []),
    ...said.map(([key, value]) => `--metadata ${forShell(`${key}=${typeof value === "string" ? value : JSON.stringify(value)}`)}`),
    ...(run.priority === null ? [] : [`--priority ${run.priority}`]),
    "--wait",
    `--url ${forShell(origin)}`,
  ];
  const name = forShell(run.workflowName);
  // A name may begin like a flag does.
  const command = run.workflowName.startsWith("-") ? ["broadaxe trigger", ...flags, `-- ${name}`] : [`broadaxe trigger ${name}`, ...flags];
  return {
    text: [...(hasInput ? [`printf %s ${forShell(JSON.stringify(run.input))} |`] : []), command.join(" \\\n  ")].join("\n"),
    unsaid: Object.keys(run.metadata).filter((key) => typeof run.metadata[key] !== "string" || key === "" || key.includes("=")),
  };
}

export function asPython(run: Started): string {
  return [
    "import json",
    "",
    "from hatchet_sdk import Hatchet",
    "",
    "hatchet = Hatchet()  # reads HATCHET_CLIENT_TOKEN",
    "",
    "run = hatchet.runs.create(",
    `    workflow_name=${forPython(run.workflowName)},`,
    `    input=json.loads(${forPython(JSON.stringify(run.input))}),`,
    ...(Object.keys(run.metadata).length > 0
      ? [`    additional_metadata=json.loads(${forPython(JSON.stringify(run.metadata))}),`]
      : []),
    ...(run.priority === null ? [] : [`    priority=${run.priority},`]),
    ")",
    "print(run.run.metadata.id)",
    "",
  ].join("\n");
}

export interface TestedTask {
  readonly workflowName: string;
  readonly taskName: string;
  readonly runId: string;
  readonly at: string;
  readonly input: Json;
  readonly metadata: Json;
  /** By the names of the parents. */
  readonly parents: Json;
  /** What the task returned; null when it did not complete. */
  readonly output: Json | null;
  /** The line that says why it did not. */
  readonly error: string | null;
  /** Runs that the task started, with what came of them. */
  readonly children: readonly { readonly workflowName: string; readonly input: Json; readonly output: Json }[];
  readonly isDurable: boolean;
}

/**
 * A test that calls the task's function in its own process, with what it was given then. It needs no engine. It cannot
 * replace what the function reaches by itself: services, the clock, child runs; it says so.
 */
export function asPytest(task: TestedTask): string {
  const name = task.taskName.replaceAll(/\W+/g, "_").toLowerCase() || "task";
  const happened =
    task.output !== null ? "completed; the test expects the same output." : `failed with: ${oneLine(task.error ?? "nothing was said")}`;
  return [
    `"""Task ${oneLine(task.taskName)} of workflow ${oneLine(task.workflowName)} as in run ${task.runId}.`,
    "",
    `Recorded on ${task.at}: it ${happened}`,
    "The function is called here, in this process: no engine takes part, and nothing is retried. What it reaches by itself",
    "(services, files, the clock) is the real thing.",
    ...(task.children.length > 0
      ? ["It started child runs; what they returned is in CHILDREN. Put that in place of the calls, for example with monkeypatch."]
      : []),
    ...(task.isDurable ? ["It is durable: its sleeps and waits have no engine to wait for here, so replace them as well."] : []),
    '"""',
    "",
    "import asyncio",
    "import importlib",
    "import json",
    "",
    "# Where the task is defined: change this line.",
    `TASK = ${forPython(`my_workflows:${name}`)}`,
    "",
    `INPUT = json.loads(${forPython(JSON.stringify(task.input))})`,
    `METADATA = json.loads(${forPython(JSON.stringify(task.metadata))})`,
    `PARENTS = json.loads(${forPython(JSON.stringify(task.parents))})`,
    ...(task.children.length > 0 ? [`CHILDREN = json.loads(${forPython(JSON.stringify(task.children))})`] : []),
    ...(task.output === null ? [] : [`OUTPUT = json.loads(${forPython(JSON.stringify(task.output))})`]),
    "",
    "",
    "def as_json(value):",
    `    return value.model_dump(mode="json") if hasattr(value, "model_dump") else value`,
    "",
    "",
    `def test_${name}():`,
    '    module, _, attribute = TASK.partition(":")',
    "    task = getattr(importlib.import_module(module), attribute)",
    "    # A task by itself knows its validator; one of several knows the workflow it is in.",
    '    validator = getattr(task, "input_validator", None) or task.workflow.input_validator',
    "    given = validator.validate_python(INPUT)",
    "    arguments = dict(input=given, additional_metadata=METADATA, parent_outputs=PARENTS)",
    "    try:",
    "        output = asyncio.run(task.aio_mock_run(**arguments))",
    "    except TypeError as error:",
    '        if "not an async function" not in str(error):',
    "            raise",
    "        output = task.mock_run(**arguments)",
    ...(task.output === null
      ? ["    # It failed then. That it returns at all is what this test asks for; say here what it should return.", "    assert output is None or as_json(output) is not None"]
      : ["    assert as_json(output) == OUTPUT"]),
    "",
  ].join("\n");
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, " ").replaceAll("\\", "/").replaceAll('"', "'").slice(0, 300);
}

function forShell(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** A Python string. JSON's escapes are Python's, apart from halves of characters beyond the basic plane. */
function forPython(text: string): string {
  return JSON.stringify(text);
}
