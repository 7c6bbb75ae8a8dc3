// Drives the server with the TypeScript SDK v1.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport as Sse } from '@modelcontextprotocol/sdk/client/sse.js';
import { StdioClientTransport as Stdio } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport as Http } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { drive } from './typescript.mjs';

await drive(Client, { Stdio, Sse, Http }, (client, transport) => transport.protocolVersion ?? null);
