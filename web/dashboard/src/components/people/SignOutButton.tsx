/** Ends the session here and, where a provider let it in, sends the browser there to end that one too. */
import { useQueryClient } from "@tanstack/react-query";
import { useRouter } from "@tanstack/react-router";
import { useState } from "react";

import { signOut } from "../../services/session";
import { Button } from "../ui/button";

export function SignOutButton({ variant }: { variant?: "ghost" }) {
  const client = useQueryClient();
  const router = useRouter();
  const [failed, setFailed] = useState(false);

  async function leave(): Promise<void> {
    let elsewhere: string | null;
    try {
      elsewhere = await signOut(client);
    } catch {
      setFailed(true);
      return;
    }
    if (elsewhere !== null) window.location.assign(elsewhere);
    else await router.navigate({ to: "/login" });
  }

  return (
    <Button {...(variant !== undefined && { variant })} onClick={() => void leave()}>
      {failed ? "Sign out failed, try again" : "Sign out"}
    </Button>
  );
}
