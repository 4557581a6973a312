/** The link of an invite that was just made: it is shown this once. */
import type { MadeInvite } from "../../services/members";
import { CodeBlock } from "../CodeBlock";
import { LocalTime } from "../Times";

export function InviteLink({ invite }: { invite: MadeInvite }) {
  return (
    <div className="space-y-3 text-sm">
      {invite.mailProblem !== null && (
        <p role="alert" className="break-words text-failed">
          It could not be mailed: {invite.mailProblem}.
        </p>
      )}
      <p>
        {invite.mailed === true ? `This link was mailed to ${invite.email}.` : `Send this link to ${invite.email}.`} It lets them in as {invite.role}, once, until <LocalTime instantMs={invite.expires} />. It is shown only now.
      </p>
      <CodeBlock wraps label="Link" text={invite.link} />
    </div>
  );
}
