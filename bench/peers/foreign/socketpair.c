/* Two processes and a socketpair: blocking reads and writes, nothing else. */
#include "driver.h"
#include <sys/socket.h>

static int fd;

static void put(const struct message *m)
{
	if (write(fd, m, sizeof *m) != sizeof *m)
		die("write");
}

/* get is 0 when the other side is gone. */
static int get(struct message *m)
{
	ssize_t have = 0, n;
	while (have < (ssize_t)sizeof *m) {
		n = read(fd, (char *)m + have, sizeof *m - have);
		if (n == 0)
			return 0;
		if (n < 0)
			die("read");
		have += n;
	}
	return 1;
}

static void other(void)
{
	static struct message in[1024]; /* a stream is read in large pieces */
	size_t have = 0, done;
	for (;;) {
		ssize_t n = read(fd, (char *)in + have, sizeof in - have);
		if (n <= 0)
			_exit(0);
		have += n;
		for (done = 0; (done + 1) * sizeof *in <= have; done++) {
			change(&in[done]);
			if (in[done].what != COUNT)
				put(&in[done]);
		}
		have -= done * sizeof *in;
		memmove(in, in + done, have);
	}
}

static void begin(void) {}

static void trip(int64_t i)
{
	struct message m;
	request(&m, i);
	put(&m);
	if (!get(&m))
		die("the other side is gone");
	check(&m, i);
}

static void end(void) {}

static int64_t stream(int64_t n)
{
	struct message m;
	int64_t from = now();
	for (int64_t i = 0; i < n; i++) {
		request(&m, i);
		m.what = COUNT;
		put(&m);
	}
	m.what = END;
	put(&m);
	if (!get(&m))
		die("the other side is gone");
	return now() - from;
}

int main(void)
{
	int fds[2];
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0)
		die("socketpair");
	if (part() == 0) {
		close(fds[0]);
		fd = fds[1];
		other();
	}
	close(fds[1]);
	fd = fds[0];
	serve();
}
