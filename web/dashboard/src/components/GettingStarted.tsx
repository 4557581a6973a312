/** What a newcomer sees before the first run. */
import { CopyButton } from "./CopyButton";

const FIRST_TASK = `from hatchet_sdk import Context, EmptyModel, Hatchet

hatchet = Hatchet()


@hatchet.task()
def hello(input: EmptyModel, ctx: Context) -> dict[str, str]:
    return {"message": "Hello from Broadaxe"}


if __name__ == "__main__":
    hatchet.worker("first-worker", workflows=[hello]).start()
`;
const RUN_IT = `python -c "from hello import hello; print(hello.run())"`;

export function GettingStarted() {
  return (
    <div className="mx-auto max-w-2xl px-6 py-10">
      <h2 className="text-lg font-semibold">No runs yet. Here is a first one</h2>
      <ol className="mt-4 list-decimal space-y-5 pl-5 text-ink-soft marker:font-semibold marker:text-accent">
        <li>
          In a terminal, set the <code className="font-mono text-xs">HATCHET_CLIENT_…</code> variables that{" "}
          <code className="font-mono text-xs">broadaxe dev</code> printed when it started, and install the SDK.
          <Snippet label="install command" text="pip install hatchet-sdk" />
        </li>
        <li>
          Save this as <code className="font-mono text-xs">hello.py</code> and start it: it is a worker.
          <Snippet label="hello.py" text={FIRST_TASK} />
          <Snippet label="start command" text="python hello.py" />
        </li>
        <li>
          In a second terminal with the same variables, run the task. It appears here by itself.
          <Snippet label="run command" text={RUN_IT} />
        </li>
      </ol>
    </div>
  );
}

function Snippet({ label, text }: { label: string; text: string }) {
  return (
    <div className="relative mt-2">
      <pre className="overflow-x-auto rounded-md border border-line bg-sunken px-3 py-2 pr-16 font-mono text-xs leading-relaxed text-ink">
        {text}
      </pre>
      <div className="absolute top-1.5 right-1.5">
        <CopyButton label={label} text={text} />
      </div>
    </div>
  );
}
