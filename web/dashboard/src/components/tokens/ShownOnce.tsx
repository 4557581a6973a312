/** A token that was just made, as programs want it. */
import { useState } from "react";

import { SDKS, type Sdk } from "../../services/tokens";
import { TokenEnvironment } from "../TokenEnvironment";
import { Tabs } from "../ui/tabs";

export function ShownOnce({ token }: { token: string }) {
  const [sdk, setSdk] = useState<Sdk>("Python");
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
