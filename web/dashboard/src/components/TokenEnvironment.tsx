/** What a program needs in its environment to connect with a token that was just made. */
import { useQuery } from "@tanstack/react-query";

import { tlsStrategyQuery } from "../services/session";
import { environmentOf, type Sdk } from "../services/tokens";
import { CodeBlock } from "./CodeBlock";

export function TokenEnvironment({ token, sdk, asCommands = false }: { token: string; sdk: Sdk; asCommands?: boolean }) {
  const tls = useQuery(tlsStrategyQuery);
  // What is copied must be whole.
  if (tls.isPending) return <p role="status">Asking the engine how it is reached…</p>;
  const environment = environmentOf(token, sdk, tls.data ?? null);
  return (
    <>
      <CodeBlock wraps label="Environment" text={asCommands ? environment.replaceAll(/^/gm, "export ") : environment} />
      {tls.data === null && (
        <p className="mt-2 text-xs text-ink-soft">
          SDKs speak TLS unless told otherwise. Where there is none between program and engine, add{" "}
          <code className="font-mono">HATCHET_CLIENT_TLS_STRATEGY=none</code>.
        </p>
      )}
      {(tls.data === "tls" || tls.data === "mtls") && (
        <p className="mt-2 text-xs text-ink-soft">
          If no public authority has signed the engine’s certificate, add the file of the one that has:{" "}
          <code className="font-mono break-all">HATCHET_CLIENT_TLS_ROOT_CA_FILE=ca.pem</code>.
          {tls.data === "mtls" && " The engine demands a certificate of the program, too: name its files."}
        </p>
      )}
    </>
  );
}
