/** The order of the list. */
import { RUN_ORDERS, type RunOrder } from "../../routes/searches";
import { Select } from "../ui/field";
import { ORDERS_OF_SHOWN } from "./order";

export function OrderChoice({
  order,
  ofTasks,
  onChange,
}: {
  order: RunOrder | undefined;
  ofTasks: boolean;
  onChange: (order: RunOrder | undefined) => void;
}) {
  return (
    <Select
      aria-label="Order"
      className="h-6 w-auto text-xs"
      value={order ?? ""}
      onChange={(event) => onChange(RUN_ORDERS.find((one) => one === event.target.value))}
    >
      <option value="">Newest first</option>
      <option value="oldest" disabled={ofTasks}>
        Oldest first
      </option>
      <optgroup label="Among the rows shown">
        {ORDERS_OF_SHOWN.map(({ order: one, title }) => (
          <option key={one} value={one}>
            {title}
          </option>
        ))}
      </optgroup>
    </Select>
  );
}
