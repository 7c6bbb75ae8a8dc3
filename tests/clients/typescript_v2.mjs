// Drives the server with the TypeScript SDK v2.
import { Client, SSEClientTransport as Sse } from '@modelcontextprotocol/client';
import { StreamableHTTPClientTransport as Http } from '@modelcontextprotocol/client';
import { StdioClientTransport as Stdio } from '@modelcontextprotocol/client/stdio';
import { drive } from './typescript.mjs';

await drive(Client, { Stdio, Sse, Http }, (client) => client.getNegotiatedProtocolVersion());
