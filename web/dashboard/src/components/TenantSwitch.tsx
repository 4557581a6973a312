/** Which tenant is looked at; a choice for those who belong to several. */
import { useQueryClient } from "@tanstack/react-query";
import { useRouter } from "@tanstack/react-router";

import { chooseTenant, type SignedIn } from "../services/session";
import { Select } from "./ui/field";

/** Goes on with another tenant on the same page, or on the list that the page is about one thing of. */
export function useSwitchTenant(): (tenantId: string) => Promise<void> {
  const client = useQueryClient();
  const router = useRouter();
  return async (tenantId) => {
    const [, section = "", below = ""] = router.state.location.pathname.split("/");
    chooseTenant(client, tenantId);
    // What a page is searched by belongs to the other tenant: ids of its workflows, names of its things.
    await router.navigate({ href: section === "settings" ? `/${section}/${below}` : `/${section}` });
    await router.invalidate();
  };
}

export function TenantSwitch({ session }: { session: SignedIn }) {
  const switchTenant = useSwitchTenant();
  if (session.memberships.length < 2) return <span title={`Tenant ${session.tenant.id}`}>{session.tenant.name}</span>;
  return (
    <Select
      aria-label="Tenant"
      value={session.tenant.id}
      onChange={(event) => void switchTenant(event.target.value)}
      className="w-auto max-w-40 text-ink"
    >
      {session.memberships.map(({ tenant }) => (
        <option key={tenant.id} value={tenant.id}>
          {tenant.name}
        </option>
      ))}
    </Select>
  );
}
