/**
 * A first worker in each language, and the version of its SDK that Broadaxe is tested with: the same as in
 * docs/compatibility.md. Every one of them registers the workflow `hello`.
 */
import type { Sdk } from "../../services/tokens";

export const FIRST_WORKFLOW = "hello";

export interface Language {
  readonly id: "python" | "typescript" | "go";
  readonly label: Sdk;
  readonly install: string;
  readonly file: string;
  readonly code: string;
  readonly start: string;
  /** What is to be known about its version. */
  readonly note: string;
}

export const LANGUAGES: readonly Language[] = [
  {
    id: "python",
    label: "Python",
    install: "pip install hatchet-sdk==1.43.1",
    file: "hello.py",
    start: "python hello.py",
    note: "Version 1.43.1 is the one that Broadaxe is tested with.",
    code: `from hatchet_sdk import Context, EmptyModel, Hatchet

hatchet = Hatchet()


@hatchet.task()
def hello(input: EmptyModel, ctx: Context) -> dict[str, str]:
    ctx.log("saying hello")
    return {"message": "Hello from Broadaxe"}


if __name__ == "__main__":
    hatchet.worker("first-worker", workflows=[hello]).start()
`,
  },
  {
    id: "typescript",
    label: "TypeScript",
    install: "npm install @hatchet-dev/typescript-sdk@1.33.2 tsx",
    file: "hello.ts",
    start: "npx tsx hello.ts",
    note: "Version 1.33.2 is the one that Broadaxe is tested with.",
    code: `import { HatchetClient } from "@hatchet-dev/typescript-sdk";

const hatchet = HatchetClient.init();

const hello = hatchet.task({
  name: "hello",
  fn: async () => ({ message: "Hello from Broadaxe" }),
});

async function main() {
  const worker = await hatchet.worker("first-worker", { workflows: [hello] });
  await worker.start();
}

void main();
`,
  },
  {
    id: "go",
    label: "Go",
    install: "go mod init hello && go get github.com/hatchet-dev/hatchet/sdks/go",
    file: "main.go",
    start: "go run .",
    note: "The SDK's own tests were run against Broadaxe once; no test of Broadaxe runs it with each change.",
    code: `package main

import (
	"context"
	"log"
	"os/signal"
	"syscall"

	hatchet "github.com/hatchet-dev/hatchet/sdks/go"
)

type Input struct{}

type Output struct {
	Message string \`json:"message"\`
}

func main() {
	client, err := hatchet.NewClient()
	if err != nil {
		log.Fatal(err)
	}
	hello := client.NewStandaloneTask("hello", func(ctx hatchet.Context, input Input) (Output, error) {
		return Output{Message: "Hello from Broadaxe"}, nil
	})
	worker, err := client.NewWorker("first-worker", hatchet.WithWorkflows(hello))
	if err != nil {
		log.Fatal(err)
	}
	until, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := worker.StartBlocking(until); err != nil {
		log.Fatal(err)
	}
}
`,
  },
];
