// What the TypeScript drivers share: the job they get and the report they print; see README.md.

const job = JSON.parse(process.argv[2]);

function connect({ Stdio, Sse, Http }) {
  if (job.transport === 'stdio') {
    const [command, ...args] = job.command;
    return new Stdio({ command, args });
  }
  const options = { requestInit: { headers: { Authorization: `Bearer ${job.token}` } } };
  return new (job.transport === 'sse' ? Sse : Http)(new URL(job.url), options);
}

function result({ content, structuredContent, isError }) {
  const text = content.map((item) => item.text ?? '').join('');
  return { text, structured: structuredContent ?? null, is_error: isError ?? false };
}

export async function drive(Client, transports, protocolOf) {
  const options = { versionNegotiation: { mode: job.mode } };
  const client = new Client({ name: 'tests', version: '1' }, options);
  const transport = connect(transports);
  await client.connect(transport);
  const { tools } = await client.listTools();
  const results = [];
  for (const [name, args] of job.calls) {
    results.push(result(await client.callTool({ name, arguments: args })));
  }
  const report = {
    server: client.getServerVersion().name,
    protocol: protocolOf(client, transport),
    tools: tools.map((tool) => tool.name),
    results,
  };
  await transport.terminateSession?.();
  await client.close();
  console.log(JSON.stringify(report));
}
