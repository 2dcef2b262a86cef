//! Packets that leave as they came, but for what makes them one stream with all else that their receiver is sent.

use crate::forwarding::forward;
use crate::port_sockets::PortSockets;
use crate::sys::{Chosen, Intake};
use crate::totals::ThreadTotals;
use sx_engine::Time;
use sx_rtp::{Translated, translate_rtcp};

/// Sends packets that have arrived at a port to the peer of another one.
pub(crate) fn relay(
    received: &mut Intake,
    totals: &ThreadTotals,
    (now, own, target): (Time, &PortSockets, &PortSockets),
    rtp: Chosen,
    rtcp: Chosen,
) {
    let rtp = target.join(now, own, received, rtp);
    if rtcp.count() > 0 {
        translate(received, own, target, rtcp);
    }
    forward(received, totals, (now, target), rtp, rtcp);
}

/// Reports name streams and packets as their receiver knows them.
fn translate(received: &mut Intake, own: &PortSockets, target: &PortSockets, rtcp: Chosen) {
    let changed = |known: Option<Translated>| known.filter(|known| !known.is_identity());
    let (sent, heard) = (changed(target.translated(own)), changed(own.translated(target)));
    let counts = target.sending().filter(|_| sent.is_some()).map(|sent| (sent.packets, sent.octets));
    if sent.is_some() || heard.is_some() {
        for index in rtcp.indices() {
            let (_, report) = received.batch().packet(index);
            translate_rtcp(report, sent.as_ref(), heard.as_ref(), counts);
        }
    }
}
