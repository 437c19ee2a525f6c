/* ZeroMQ, request and reply over ipc. The argument is a path for its socket. */
#include "driver.h"
#include <zmq.h>

static void *sock;

static void *opened(int type)
{
	void *s = zmq_socket(zmq_ctx_new(), type);
	if (!s)
		die("zmq_socket");
	return s;
}

static void put(const struct message *m)
{
	if (zmq_send(sock, m, sizeof *m, 0) != sizeof *m)
		die("zmq_send");
}

static void get(struct message *m)
{
	if (zmq_recv(sock, m, sizeof *m, 0) != sizeof *m)
		die("zmq_recv");
}

static void other(const char *address)
{
	struct message m;
	sock = opened(ZMQ_REP);
	if (zmq_bind(sock, address) < 0)
		die("zmq_bind");
	for (;;) { /* until the parent's death */
		get(&m);
		change(&m);
		put(&m);
	}
}

static void begin(void) {}

static void trip(int64_t i)
{
	struct message m;
	request(&m, i);
	put(&m);
	get(&m);
	check(&m, i);
}

static void end(void) {}

static int64_t stream(int64_t n)
{
	(void)n;
	return 0; /* requests have replies */
}

int main(int argc, char **argv)
{
	char address[4096];
	if (argc != 2)
		return 2;
	snprintf(address, sizeof address, "ipc://%s", argv[1]);
	if (part() == 0) /* before there are threads */
		other(address);
	sock = opened(ZMQ_REQ);
	if (zmq_connect(sock, address) < 0)
		die("zmq_connect");
	serve();
}
