/** How this browser shows the console: light or dark, and in which time zone. */
import { chooseTheme, THEMES, useTheme } from "../theme";
import { chooseZone, useZone, zoneName } from "../time/zone";
import { Field, Select } from "./ui/field";

const THEME_LABELS = { system: "As the system", light: "Light", dark: "Dark" } as const;

export function DisplayChoices() {
  const theme = useTheme();
  const zone = useZone();
  return (
    <div className="px-2.5 pt-2">
      <Field label="Theme">
        {(props) => (
          <Select {...props} value={theme} onChange={(event) => chooseTheme(THEMES.find((one) => one === event.target.value) ?? "system")}>
            {THEMES.map((one) => (
              <option key={one} value={one}>
                {THEME_LABELS[one]}
              </option>
            ))}
          </Select>
        )}
      </Field>
      <Field label="Times in">
        {(props) => (
          <Select {...props} value={zone} onChange={(event) => chooseZone(event.target.value === "UTC" ? "UTC" : "local")}>
            <option value="local">{zoneName("local")} (here)</option>
            <option value="UTC">UTC</option>
          </Select>
        )}
      </Field>
    </div>
  );
}
