//! Why a call or a leg ended: one table for SIP, Q.850 and H.225.0.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A Q.850 cause value (1..=127), the exchange's own word for why something ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Cause(pub u8);

/// One line of the cause table.
#[derive(Clone, Copy, Debug)]
pub struct CauseRow {
    /// The Q.850 value.
    pub cause: Cause,
    /// The words of Q.850.
    pub text: &'static str,
    /// The SIP status that says it (RFC 3398, section 8.2.6.1, where that has one).
    pub sip: u16,
    /// The H.225.0 release-complete reason that says it, by its name in the ASN.1.
    pub h225: &'static str,
    /// May another route be tried?
    pub try_next: bool,
}

const fn row(cause: u8, sip: u16, h225: &'static str, try_next: bool, text: &'static str) -> CauseRow {
    CauseRow { cause: Cause(cause), text, sip, h225, try_next }
}

/// The cause table, sorted by Q.850 value. A new mapping is a new line here.
//= https://www.rfc-editor.org/rfc/rfc3398#section-8.2.6.1
pub const CAUSES: &[CauseRow] = &[
    row(1, 404, "unreachableDestination", false, "Unallocated number"),
    row(2, 404, "unreachableDestination", true, "No route to specified transit network"),
    row(3, 404, "unreachableDestination", true, "No route to destination"),
    row(16, 480, "undefinedReason", false, "Normal call clearing"),
    row(17, 486, "inConf", false, "User busy"),
    row(18, 408, "undefinedReason", false, "No user responding"),
    row(19, 480, "undefinedReason", false, "No answer from user"),
    row(20, 480, "undefinedReason", false, "Subscriber absent"),
    row(21, 603, "destinationRejection", false, "Call rejected"),
    row(22, 410, "unreachableDestination", false, "Number changed"),
    row(23, 410, "facilityCallDeflection", false, "Redirection to new destination"),
    row(25, 482, "undefinedReason", true, "Exchange routing error"),
    row(26, 404, "destinationRejection", false, "Non-selected user clearing"),
    row(27, 502, "unreachableDestination", true, "Destination out of order"),
    row(28, 484, "badFormatAddress", false, "Invalid number format"),
    row(29, 501, "undefinedReason", true, "Facility rejected"),
    row(31, 480, "undefinedReason", true, "Normal, unspecified"),
    row(34, 503, "noBandwidth", true, "No circuit or channel available"),
    row(38, 503, "gatewayResource", true, "Network out of order"),
    row(41, 503, "undefinedReason", true, "Temporary failure"),
    row(42, 503, "gatewayResource", true, "Switching equipment congestion"),
    row(44, 503, "gatewayResource", true, "Requested circuit or channel not available"),
    row(47, 503, "gatewayResource", true, "Resource unavailable, unspecified"),
    row(50, 403, "noPermission", false, "Requested facility not subscribed"),
    row(55, 403, "noPermission", false, "Incoming calls barred within closed user group"),
    row(57, 403, "noPermission", false, "Bearer capability not authorised"),
    row(58, 503, "gatewayResource", true, "Bearer capability not presently available"),
    row(63, 503, "undefinedReason", true, "Service or option not available"),
    row(65, 488, "undefinedReason", true, "Bearer capability not implemented"),
    row(70, 488, "undefinedReason", true, "Only restricted digital information available"),
    row(79, 501, "undefinedReason", true, "Service or option not implemented"),
    row(81, 481, "undefinedReason", false, "Invalid call reference value"),
    row(87, 403, "noPermission", false, "User not member of closed user group"),
    row(88, 488, "undefinedReason", false, "Incompatible destination"),
    row(95, 400, "undefinedReason", false, "Invalid message, unspecified"),
    row(96, 400, "undefinedReason", false, "Mandatory information element missing"),
    row(97, 405, "undefinedReason", false, "Message type non-existent"),
    row(102, 504, "undefinedReason", true, "Recovery on timer expiry"),
    row(111, 500, "undefinedReason", true, "Protocol error, unspecified"),
    row(127, 500, "undefinedReason", true, "Interworking, unspecified"),
];

impl Cause {
    /// Unallocated number.
    pub const UNALLOCATED: Self = Self(1);
    /// No route to destination.
    pub const NO_ROUTE: Self = Self(3);
    /// Normal call clearing.
    pub const NORMAL: Self = Self(16);
    /// User busy.
    pub const USER_BUSY: Self = Self(17);
    /// No user responding: not even ringing.
    pub const NO_RESPONSE: Self = Self(18);
    /// No answer from user: it rang.
    pub const NO_ANSWER: Self = Self(19);
    /// Subscriber absent: nobody is registered.
    pub const ABSENT: Self = Self(20);
    /// Call rejected.
    pub const REJECTED: Self = Self(21);
    /// Exchange routing error, as a loop is.
    pub const ROUTING_ERROR: Self = Self(25);
    /// Answered by somebody else.
    pub const NON_SELECTED: Self = Self(26);
    /// Destination out of order.
    pub const OUT_OF_ORDER: Self = Self(27);
    /// Temporary failure.
    pub const TEMPORARY_FAILURE: Self = Self(41);
    /// Switching equipment congestion.
    pub const CONGESTION: Self = Self(42);
    /// Resource unavailable.
    pub const NO_RESOURCE: Self = Self(47);
    /// Bearer capability not implemented.
    pub const NOT_IMPLEMENTED: Self = Self(65);
    /// Incompatible destination: no codec in common.
    pub const INCOMPATIBLE: Self = Self(88);
    /// Invalid message.
    pub const INVALID_MESSAGE: Self = Self(95);
    /// Recovery on timer expiry.
    pub const TIMER_EXPIRY: Self = Self(102);
    /// Interworking.
    pub const INTERWORKING: Self = Self(127);

    fn row(self) -> Option<&'static CauseRow> {
        CAUSES.binary_search_by_key(&self, |row| row.cause).ok().map(|index| &CAUSES[index])
    }

    /// The words of Q.850, or "Unknown cause".
    pub fn text(self) -> &'static str {
        self.row().map_or("Unknown cause", |row| row.text)
    }

    /// The SIP status of a final response that says it; 500 for a value the table does not have.
    pub fn sip_status(self) -> u16 {
        self.row().map_or(500, |row| row.sip)
    }

    /// The H.225.0 release-complete reason that says it.
    pub fn h225_reason(self) -> &'static str {
        self.row().map_or("undefinedReason", |row| row.h225)
    }

    /// May another route be tried after this cause?
    pub fn try_next(self) -> bool {
        self.row().is_some_and(|row| row.try_next)
    }

    /// The cause a SIP final status stands for when no `Reason` header gives one.
    //= https://www.rfc-editor.org/rfc/rfc3398#section-7.2.4.1
    pub fn from_sip_status(status: u16) -> Self {
        Self(match status {
            200..=299 => 16,
            400 | 493 => 95,
            401 | 402 | 403 | 407 | 603 | 607 | 608 => 21,
            404 | 604 => 1,
            405 => 63,
            406 | 415 | 488 | 606 => 88,
            408 | 504 => 102,
            410 => 22,
            413 | 414 | 416 | 420 | 421 | 423 | 505 | 513 => 127,
            480 => 19,
            481 | 500 | 503 => 41,
            482 | 483 => 25,
            484 | 485 => 28,
            486 | 600 => 17,
            487 => 16,
            491 => 31,
            501 => 79,
            502 => 38,
            300..=399 => 23,
            _ => 127,
        })
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0, self.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_within_the_range_of_q850() {
        assert!(CAUSES.windows(2).all(|pair| pair[0].cause < pair[1].cause));
        assert!(CAUSES.iter().all(|row| (1..=127).contains(&row.cause.0) && (400..=699).contains(&row.sip)));
    }

    #[test]
    fn the_statuses_callers_see_most_survive_the_trip_through_q850() {
        for status in [404, 410, 482, 484, 486, 488, 501, 503] {
            assert_eq!(Cause::from_sip_status(status).sip_status(), status, "status {status}");
        }
    }

    #[test]
    fn every_status_has_a_cause_that_the_table_knows() {
        for status in 300..=699 {
            let cause = Cause::from_sip_status(status);
            assert_ne!(cause.text(), "Unknown cause", "status {status} gives {}", cause.0);
        }
    }
}
