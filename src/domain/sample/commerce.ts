/** Events of shops and payment providers, in the shapes of their documentation. */
import { isoSeconds, type SampleSeed, type SampleShape, unixSeconds } from "./types.ts";

/** How ids of Stripe's objects start, where it is not the object's name. */
const STRIPE_ID_PREFIXES: Readonly<Record<string, string>> = {
  invoice: "in",
  charge: "ch",
  customer: "cus",
  payment_intent: "pi",
  subscription: "sub",
  session: "cs_test",
  product: "prod",
  payment_method: "pm",
  refund: "re",
};

/** The object's name stands before the verb: customer.subscription.updated is about a subscription. */
function stripeObject({ type, hex, at }: SampleSeed): object {
  const path = type.split(".");
  const name = path.at(-2) ?? path[0] ?? type;
  const object = path.slice(0, 2).join(".") === "checkout.session" ? "checkout.session" : name;
  const id = `${STRIPE_ID_PREFIXES[name] ?? name}_${hex.slice(0, 24)}`;
  const money = { amount: 2_000, currency: "usd", customer: `cus_${hex.slice(0, 14)}` };
  const paid = { amount_due: 2_000, amount_paid: 2_000, amount_remaining: 0, paid: true, status: "paid" };
  return {
    id,
    object,
    created: unixSeconds(at),
    livemode: false,
    metadata: {},
    ...(["invoice", "charge", "payment_intent", "refund"].includes(name) ? money : {}),
    ...(type === "invoice.paid" || type === "invoice.payment_succeeded" ? paid : {}),
  };
}

/** https://docs.stripe.com/api/events/object */
export const stripe: SampleShape = {
  types: [
    "invoice.paid",
    "invoice.payment_failed",
    "checkout.session.completed",
    "payment_intent.succeeded",
    "charge.refunded",
    "customer.subscription.updated",
    "customer.subscription.deleted",
  ],
  make: (seed) => ({
    headers: { "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)" },
    json: {
      id: `evt_${seed.hex.slice(0, 24)}`,
      object: "event",
      api_version: "2025-09-30.clover",
      created: unixSeconds(seed.at),
      data: { object: stripeObject(seed) },
      livemode: false,
      pending_webhooks: 1,
      request: { id: null, idempotency_key: null },
      type: seed.type,
    },
  }),
};

/** https://shopify.dev/docs/apps/build/webhooks; the topic stands in a header only. */
export const shopify: SampleShape = {
  types: [
    "orders/create",
    "orders/paid",
    "orders/cancelled",
    "products/update",
    "customers/create",
    "app/uninstalled",
  ],
  make: ({ type, uuid, number, at }) => {
    const [resource = ""] = type.split("/");
    const names: Readonly<Record<string, string>> = {
      orders: "Order",
      products: "Product",
      customers: "Customer",
    };
    const name = names[resource] ?? "Shop";
    const order = {
      name: "#1001",
      currency: "USD",
      total_price: "20.00",
      financial_status: "paid",
      line_items: [{ id: number + 1, title: "Sample", quantity: 1, price: "20.00", sku: "SAMPLE-1" }],
    };
    return {
      headers: {
        "X-Shopify-Topic": type,
        "X-Shopify-Shop-Domain": "sample.myshopify.com",
        "X-Shopify-API-Version": "2025-10",
        "X-Shopify-Webhook-Id": uuid,
        "X-Shopify-Event-Id": uuid,
        "X-Shopify-Triggered-At": new Date(at).toISOString(),
        "X-Shopify-Test": "true",
      },
      json: {
        id: number,
        admin_graphql_api_id: `gid://shopify/${name}/${number}`,
        created_at: isoSeconds(at),
        updated_at: isoSeconds(at),
        ...(name === "Order" ? order : { title: "Sample" }),
      },
    };
  },
};

/** https://developer.paddle.com/webhooks/overview */
export const paddle: SampleShape = {
  types: [
    "transaction.completed",
    "transaction.payment_failed",
    "subscription.created",
    "subscription.canceled",
  ],
  make: ({ type, hex, at }) => {
    const [entity = ""] = type.split(".");
    const prefixes: Readonly<Record<string, string>> = {
      transaction: "txn",
      subscription: "sub",
      customer: "ctm",
    };
    const occurredAt = new Date(at).toISOString();
    return {
      json: {
        event_id: `evt_01${hex.slice(0, 24)}`,
        event_type: type,
        occurred_at: occurredAt,
        notification_id: `ntf_01${hex.slice(0, 24)}`,
        data: {
          id: `${prefixes[entity] ?? entity}_01${hex.slice(0, 24)}`,
          status: type.slice(entity.length + 1),
          customer_id: `ctm_01${hex.slice(4, 28)}`,
          currency_code: "USD",
          created_at: occurredAt,
          updated_at: occurredAt,
        },
      },
    };
  },
};

/** https://developer.squareup.com/docs/webhooks/overview */
export const square: SampleShape = {
  types: ["payment.created", "payment.updated", "refund.created", "order.created", "invoice.payment_made"],
  make: ({ type, hex, uuid, at }) => {
    const [name = ""] = type.split(".");
    const createdAt = new Date(at).toISOString();
    const id = hex.slice(0, 22).toUpperCase();
    return {
      json: {
        merchant_id: hex.slice(8, 21).toUpperCase(),
        type,
        event_id: uuid,
        created_at: createdAt,
        data: {
          type: name,
          id,
          object: {
            [name]: {
              id,
              status: "COMPLETED",
              amount_money: { amount: 2_000, currency: "USD" },
              created_at: createdAt,
              updated_at: createdAt,
            },
          },
        },
      },
    };
  },
};
