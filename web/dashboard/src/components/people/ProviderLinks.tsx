/** The ways in through others who vouch for people; nothing where there are none. */
import { useQuery } from "@tanstack/react-query";

import { openIdQuery } from "../../services/session";

export function ProviderLinks({ next, after }: { /** A path of ours to go on to. */ next: string; /** What is done there. */ after?: string }) {
  const providers = useQuery(openIdQuery).data ?? [];
  return providers.map((provider) => (
    <a
      key={provider.id}
      href={`/api/v1/stable/openid/${provider.id}/begin?next=${encodeURIComponent(next)}`}
      className="mt-3 grid h-9 w-full place-items-center rounded-md border border-line-strong text-sm font-medium"
    >
      Sign in with {provider.name}
      {after}
    </a>
  ));
}
