import { useQuery } from "@tanstack/react-query";

import { readReplicaQuery } from "../services/session";

/** Says when the primary has to answer what a replica should. What is shown is right all the same. */
export function ReplicaMark() {
  const replica = useQuery(readReplicaQuery).data;
  return (
    <span role="status" className="text-cancelled">
      {replica?.state === "BEHIND" && `Read replica ${String(Math.ceil(replica.lagSeconds))} s behind; the primary answers`}
      {replica?.state === "AWAY" && "Read replica away; the primary answers"}
    </span>
  );
}
