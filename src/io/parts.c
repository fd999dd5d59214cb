/* Opening the parts (parts.h): sockets, then what speaks through them, then what works for those.
 */
#include "io/parts.h"

#include "io/blocks.h"
#include "io/fetch.h"
#include "io/lending.h"
#include "io/loop.h"
#include "io/peers.h"
#include "io/persist.h"
#include "io/prefetch.h"
#include "io/resolve.h"
#include "io/serve.h"
#include "io/sockaddr.h"
#include "io/stream.h"
#include "io/udp.h"
#include "io/workers.h"

static enum error open_network(struct loop *loop, const struct channel_config *identity,
                               const struct port *port)
{
    enum error error = udp_open(loop, port->udp, sockaddr_family(&port->address), &loop->udp);
    if (error == ERROR_NONE) error = streams_open(loop, identity, port->tcp, &loop->streams);
    if (error == ERROR_NONE) error = peers_open(loop, &loop->peers);
    return error == ERROR_NONE ? resolver_open(loop, &loop->resolver) : error;
}

enum error parts_open(struct loop *loop, const char *directory,
                      const struct channel_config *identity, const struct port *port,
                      struct storage *storage)
{
    enum error error = open_network(loop, identity, port);
    if (error == ERROR_NONE) error = blocks_open(loop, directory, &loop->blocks);
    if (error == ERROR_NONE) error = fetches_open(loop, &loop->fetches);
    if (error == ERROR_NONE) error = prefetches_open(loop, &loop->prefetches);
    if (error == ERROR_NONE) error = workers_open(loop, &loop->workers);
    if (error == ERROR_NONE) error = persist_open(loop, storage, &loop->persist);
    if (error == ERROR_NONE) loop->lending = lending_open(loop, directory);
    if (error == ERROR_NONE) serve_open(loop);
    return error;
}

enum error parts_start(struct loop *loop)
{
    enum error error = persist_start(loop->persist);
    if (error == ERROR_NONE) error = udp_start(loop->udp);
    return error == ERROR_NONE ? streams_listen(loop->streams) : error;
}
