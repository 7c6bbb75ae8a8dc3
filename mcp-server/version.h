#ifndef VERSION_H
#define VERSION_H

/* How the server names itself; VERSION comes from the build. */
#define SERVER_NAME "sandbox-mcp"
#define SERVER_TITLE "Sandbox"
#define SERVER_INFO                                                                       \
	"{\"name\":\"" SERVER_NAME "\",\"title\":\"" SERVER_TITLE "\",\"version\":\"" VERSION "\"}"

#endif
