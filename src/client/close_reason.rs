//! Why a connection to the broker has ended, in the words of nats-server.

/// Makes [`CloseReason`] with its texts.
macro_rules! reasons {
    ($($(#[$text:meta])* $reason:ident = $words:literal,)*) => {
        /// See the module's text.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u8)]
        pub enum CloseReason { $($(#[$text])* $reason,)* }

        impl CloseReason {
            pub(super) const ALL: &[CloseReason] = &[$(CloseReason::$reason),*];

            /// The words that programs look for.
            pub fn text(self) -> &'static str {
                match self { $(CloseReason::$reason => $words,)* }
            }
        }
    };
}

reasons! {
    /// The client has closed it, or is gone.
    ClientClosed = "Client Closed",
    /// It has not given the right password.
    Unauthenticated = "Authentication Failure",
    /// Its user is gone or has another password.
    Expired = "User Authentication Expired",
    /// It has not given its password in time.
    AuthenticationTimeout = "Authentication Timeout",
    /// It has broken the protocol.
    ProtocolViolation = "Protocol Violation",
    /// It has announced too long a message.
    PayloadTooLong = "Maximum Message Payload Exceeded",
    /// It has sent too long a line.
    LineTooLong = "Maximum Control Line Exceeded",
    /// It speaks a version of the protocol that there is not.
    UnknownVersion = "Bad Client Protocol Version",
    /// It wants to hear of requests that nobody receives, and does not take the headers that say so.
    NoHeaders = "No Responders Requires Headers",
    /// Too much waited for it.
    SlowConsumer = "Slow Consumer (Pending Bytes)",
    /// It has read nothing for too long.
    WriteDeadline = "Slow Consumer (Write Deadline)",
    /// It has not answered pings.
    Stale = "Stale Connection",
    /// An operator has ended it.
    Kicked = "Kicked",
    /// The server ends.
    ServerShutdown = "Server Shutdown",
}

impl CloseReason {
    /// The reason with this number.
    pub(super) fn of(number: u8) -> Option<CloseReason> {
        CloseReason::ALL.get(usize::from(number)).copied()
    }
}
