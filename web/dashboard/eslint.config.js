import js from "@eslint/js";
import jsxA11y from "eslint-plugin-jsx-a11y";
import reactHooks from "eslint-plugin-react-hooks";
import tseslint from "typescript-eslint";

export default tseslint.config(
  { ignores: ["dist", "node_modules"] },
  js.configs.recommended,
  {
    files: ["**/*.{ts,tsx}"],
    extends: [
      ...tseslint.configs.strictTypeChecked,
      reactHooks.configs.flat["recommended-latest"],
      jsxA11y.flatConfigs.strict,
    ],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      // Numbers in template strings are what a dashboard prints all day.
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      // The router redirects by throwing a value that is not an Error; that is its public interface.
      "@typescript-eslint/only-throw-error": [
        "error",
        { allow: [{ from: "package", package: "@tanstack/router-core", name: ["Redirect", "NotFoundError"] }] },
      ],
      // `onClick={() => void save()}` says "fire and forget" where an event handler has nobody to await it.
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
    },
  },
  {
    // The wire is known in one place only: everything else imports typed functions from src/services.
    files: ["src/**/*.{ts,tsx}"],
    ignores: ["src/services/**", "src/test/**"],
    rules: {
      "no-restricted-globals": ["error", { name: "fetch", message: "Call the engine through src/services." }],
    },
  },
);
