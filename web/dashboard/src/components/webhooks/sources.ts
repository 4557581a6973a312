/** Who sends, and how each proves itself. */
import type { WebhookSource } from "../../services/events";

interface Preset {
  readonly label: string;
  readonly eventKey: string;
  /** What the secret is called over there; null: the proof is chosen. */
  readonly secret: string | null;
  readonly header: string;
  readonly algorithm: string;
  readonly encoding: string;
}

export const SOURCES: Readonly<Record<WebhookSource, Preset>> = {
  GENERIC: { label: "Other", eventKey: "input.type", secret: null, header: "X-Signature", algorithm: "SHA256", encoding: "HEX" },
  GITHUB: { label: "GitHub", eventKey: "'github:' + headers['x-github-event']", secret: "Secret", header: "X-Hub-Signature-256", algorithm: "SHA256", encoding: "HEX" },
  STRIPE: { label: "Stripe", eventKey: "'stripe:' + input.type", secret: "Signing secret", header: "Stripe-Signature", algorithm: "SHA256", encoding: "HEX" },
  SLACK: { label: "Slack", eventKey: "'slack:' + input.type", secret: "Signing secret", header: "X-Slack-Signature", algorithm: "SHA256", encoding: "HEX" },
  LINEAR: { label: "Linear", eventKey: "'linear:' + input.type", secret: "Signing secret", header: "Linear-Signature", algorithm: "SHA256", encoding: "HEX" },
  SVIX: { label: "Svix", eventKey: "'svix:' + input.type", secret: "Signing secret", header: "svix-signature", algorithm: "SHA256", encoding: "BASE64" },
};
