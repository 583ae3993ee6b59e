// The JavaScript SDK speaks to a proxy; run by test_sdk_javascript.py, which says where and how.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  ConditionalCheckFailedException,
  DynamoDBClient,
  ResourceNotFoundException,
  ScanCommand as RawScan,
  TransactionCanceledException,
  waitUntilTableExists,
} from "@aws-sdk/client-dynamodb";
import {
  BatchGetCommand,
  BatchWriteCommand,
  DeleteCommand,
  DynamoDBDocumentClient,
  GetCommand,
  paginateQuery,
  paginateScan,
  PutCommand,
  QueryCommand,
  TransactGetCommand,
  TransactWriteCommand,
  UpdateCommand,
} from "@aws-sdk/lib-dynamodb";

const { ENDPOINT, NOTES, TASKS, TENANT_KEY, TENANT, DERIVED } = process.env;
const raw = new DynamoDBClient({
  endpoint: ENDPOINT,
  region: "us-east-1",
  credentials: { accessKeyId: "test", secretAccessKey: "test" },
});
const db = DynamoDBDocumentClient.from(raw);
const key = (id) => ({ [TENANT_KEY]: TENANT, note_id: id });
const note = (id, more = {}) => ({ ...JSON.parse(DERIVED), ...key(id), ...more });
const task = (list, id, more = {}) => ({
  list_id: list, task_id: id, [TENANT_KEY]: TENANT, ...JSON.parse(DERIVED), ...more,
});
const read = async (id) =>
  (await db.send(new GetCommand({ TableName: NOTES, Key: key(id), ConsistentRead: true }))).Item;

test("an item of every type reads back as it was written", async () => {
  const item = note("types", {
    text: "Grüße", empty: "", number: 12.5, big: 12345678901234567890n, yes: true, nothing: null,
    bytes: new Uint8Array([0, 255]), strings: new Set(["a", "b"]), numbers: new Set([1, 2]),
    deep: { list: [1, "x", { y: [] }] },
  });
  await db.send(new PutCommand({ TableName: NOTES, Item: item }));
  assert.deepEqual(await read("types"), item);
});

test("updates return what they were asked for", async () => {
  await db.send(new DeleteCommand({ TableName: NOTES, Key: key("update") }));
  const update = (ReturnValues) => new UpdateCommand({
    TableName: NOTES, Key: key("update"), ReturnValues,
    UpdateExpression: "SET #l = list_append(if_not_exists(#l, :none), :one) ADD hits :n",
    ExpressionAttributeNames: { "#l": "log" },
    ExpressionAttributeValues: { ":none": [], ":one": ["x"], ":n": 1 },
  });
  assert.deepEqual((await db.send(update("UPDATED_NEW"))).Attributes, { log: ["x"], hits: 1 });
  const { Attributes } = await db.send(update("ALL_NEW"));
  assert.equal(Attributes.hits, 2);
  assert.equal(Attributes[TENANT_KEY], TENANT);
  assert.ok(!Object.keys(Attributes).some((name) => name.startsWith("dw_")));
  assert.deepEqual((await db.send(update("UPDATED_OLD"))).Attributes, { log: ["x", "x"], hits: 2 });
});

test("a false condition is the SDK's own error, with the item where it was asked for", async () => {
  await db.send(new PutCommand({ TableName: NOTES, Item: note("cond", { v: 1 }) }));
  const put = new PutCommand({
    TableName: NOTES, Item: note("cond", { v: 2 }),
    ConditionExpression: "attribute_not_exists(note_id)",
    ReturnValuesOnConditionCheckFailure: "ALL_OLD",
  });
  await assert.rejects(db.send(put), (error) => {
    assert.ok(error instanceof ConditionalCheckFailedException);
    assert.equal(error.message, "The conditional request failed");
    assert.equal(error.$metadata.httpStatusCode, 400);
    assert.equal(error.Item.v.N ?? error.Item.v, "1");
    return true;
  });
  const gone = await db.send(new DeleteCommand({
    TableName: NOTES, Key: key("cond"), ReturnValues: "ALL_OLD",
    ConditionExpression: "v = :v", ExpressionAttributeValues: { ":v": 1 },
  }));
  assert.equal(gone.Attributes.v, 1);
  assert.equal(await read("cond"), undefined);
});

test("paginators walk queries and scans to their end", async () => {
  for (let n = 0; n < 11; n += 1) {
    const Item = task("pages", `t${String(n).padStart(2, "0")}`, { n });
    await db.send(new PutCommand({ TableName: TASKS, Item }));
  }
  const input = {
    TableName: TASKS, KeyConditionExpression: "list_id = :l",
    ExpressionAttributeValues: { ":l": "pages" },
  };
  const seen = [];
  for await (const page of paginateQuery({ client: db, pageSize: 3 }, { ...input })) {
    seen.push(...page.Items.map((item) => item.n));
  }
  assert.deepEqual(seen, [...Array(11).keys()]);
  const scanned = [];
  for await (const page of paginateScan({ client: db, pageSize: 4 }, {
    TableName: TASKS, FilterExpression: "list_id = :l", ExpressionAttributeValues: { ":l": "pages" },
  })) {
    scanned.push(...page.Items.map((item) => item.n));
  }
  assert.deepEqual(scanned.sort((a, b) => a - b), seen);
  const counted = await db.send(new QueryCommand({
    ...input, Select: "COUNT", FilterExpression: "n >= :n", ScanIndexForward: false,
    ExpressionAttributeValues: { ":l": "pages", ":n": 8 },
  }));
  assert.deepEqual([counted.Count, counted.ScannedCount, counted.Items], [3, 11, undefined]);
});

test("what a batch left is sent again until nothing is left", async () => {
  const puts = [...Array(25).keys()].map((n) => ({ PutRequest: { Item: note(`b${n}`, { n }) } }));
  for (let left = { [NOTES]: puts }; Object.keys(left).length; ) {
    left = (await db.send(new BatchWriteCommand({ RequestItems: left }))).UnprocessedItems ?? {};
  }
  const got = [];
  let wanted = { [NOTES]: { Keys: puts.map((_, n) => key(`b${n}`)), ConsistentRead: true } };
  while (Object.keys(wanted).length) {
    const answer = await db.send(new BatchGetCommand({ RequestItems: wanted }));
    got.push(...(answer.Responses[NOTES] ?? []));
    wanted = answer.UnprocessedKeys ?? {};
  }
  assert.deepEqual(got.map((item) => item.n).sort((a, b) => a - b), [...Array(25).keys()]);
});

test("a transaction is whole, or cancelled with its reasons in order", async () => {
  await db.send(new PutCommand({ TableName: NOTES, Item: note("tx", { v: 1 }) }));
  const actions = (expected) => [
    { Put: { TableName: TASKS, Item: task("tx", "t1", { made: true }) } },
    { ConditionCheck: {
      TableName: NOTES, Key: key("tx"), ConditionExpression: "v = :v",
      ExpressionAttributeValues: { ":v": expected }, ReturnValuesOnConditionCheckFailure: "ALL_OLD",
    } },
  ];
  await assert.rejects(db.send(new TransactWriteCommand({ TransactItems: actions(7) })), (error) => {
    assert.ok(error instanceof TransactionCanceledException);
    const codes = error.CancellationReasons.map((reason) => reason.Code);
    assert.deepEqual(codes, ["None", "ConditionalCheckFailed"]);
    return true;
  });
  const ClientRequestToken = crypto.randomUUID();
  for (let n = 0; n < 2; n += 1) {
    await db.send(new TransactWriteCommand({ TransactItems: actions(1), ClientRequestToken }));
  }
  const { Responses } = await db.send(new TransactGetCommand({ TransactItems: [
    { Get: { TableName: TASKS, Key: { list_id: "tx", task_id: "t1" } } },
    { Get: { TableName: NOTES, Key: key("nothing") } },
  ] }));
  assert.equal(Responses[0].Item.made, true);
  assert.equal(Responses[1].Item, undefined);
});

test("errors and waiters work as at DynamoDB", async () => {
  const empty = new PutCommand({ TableName: NOTES, Item: note("", {}) });
  await assert.rejects(db.send(empty), { name: "ValidationException" });
  const missing = new RawScan({ TableName: `${NOTES}-that-is-not-there` });
  await assert.rejects(raw.send(missing), (error) => error instanceof ResourceNotFoundException);
  const waited = await waitUntilTableExists({ client: raw, maxWaitTime: 30 }, { TableName: NOTES });
  assert.equal(waited.state, "SUCCESS");
});

test("a throttled call is repeated by the SDK and succeeds", async () => {
  await db.send(new PutCommand({ TableName: NOTES, Item: note("slow", { v: 1 }) }));
  assert.equal((await read("slow")).v, 1);
});
