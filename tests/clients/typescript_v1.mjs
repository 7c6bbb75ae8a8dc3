// Drives the server with the TypeScript SDK v1.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport as Sse } from '@modelcontextprotocol/sdk/client/sse.js';
import { StdioClientTransport as Stdio } from '@modelcontextprotocol/sdk/client/stdio.js';
import * as http from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { drive } from './typescript.mjs';

const { StreamableHTTPClientTransport: Http } = http;
await drive(Client, { Stdio, Sse, Http }, (client, transport) => transport.protocolVersion ?? null);
