//! Ports that stay a test's own from when they are chosen, whether a program listens on them or not.
//!
//! A port that is found by closing a listener may go to anybody before it is used.

use std::net::{Ipv4Addr, SocketAddr};

use socket2::{Domain, Socket, Type};

/// A port of the loopback interface that the kernel gives to nobody else while this value lives.
///
/// A socket without a listener is bound to it.  Whoever connects is refused until a program that names the port listens on
/// it, which the kernel lets it where both have set SO_REUSEADDR, as servers do.
pub(crate) struct HeldPort {
    address: SocketAddr,
    _holding: Socket,
}

impl HeldPort {
    /// Takes one that is free.
    pub(crate) fn take() -> HeldPort {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("there are sockets");
        socket.set_reuse_address(true).expect("the socket is new");
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("loopback has a free port");
        let address = socket.local_addr().expect("it is bound").as_socket().expect("it is of the internet");
        HeldPort { address, _holding: socket }
    }

    /// Where a program that names it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The number.
    pub(crate) fn number(&self) -> u16 {
        self.address.port()
    }
}
