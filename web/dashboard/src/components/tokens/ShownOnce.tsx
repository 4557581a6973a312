/** A token that was just made, as programs want it, or the page that reads one topic with it. */
import { useState } from "react";

import { SDKS, type Sdk } from "../../services/tokens";
import { CodeBlock } from "../CodeBlock";
import { TokenEnvironment } from "../TokenEnvironment";
import { Tabs } from "../ui/tabs";

export function ShownOnce({ token, isOfTopic }: { token: string; isOfTopic: boolean }) {
  const [sdk, setSdk] = useState<Sdk>("Python");
  if (isOfTopic) {
    return (
      <>
        <p className="mb-3 text-sm">This is shown once. Whoever reads the topic sends it over HTTP:</p>
        <CodeBlock wraps label="Header" text={`Authorization: Bearer ${token}`} />
      </>
    );
  }
  return (
    <>
      <p className="mb-3 text-sm">This is shown once. Put it where your program finds its environment:</p>
      <Tabs label="SDK" tabs={SDKS.map((name) => ({ id: name, label: name }))} chosen={sdk} onChoose={setSdk}>
        <div className="mt-3">
          <TokenEnvironment token={token} sdk={sdk} />
        </div>
      </Tabs>
    </>
  );
}
