//! Packets of a batch leave for the peer of a port.

use crate::port::Channel;
use crate::port_sockets::PortSockets;
use crate::sys::{Chosen, Label, Outlet, Sent};
use crate::totals::ThreadTotals;
use sx_engine::Time;

/// Sends packets of the batch to the peer of a port.
pub(crate) fn forward(
    outlet: &mut impl Outlet,
    totals: &ThreadTotals,
    (now, target): (Time, &PortSockets),
    rtp: Chosen,
    rtcp: Chosen,
) {
    if !rtp.is_empty()
        && let Some((socket, destination)) = target.towards_rtp()
    {
        let rtp = sealed(outlet, totals, target, (Channel::Rtp, rtp));
        let sent = outlet.send(socket, rtp, &destination, Label { port: target.id().0, is_rtp: true });
        target.count_rtp(sent);
        totals.packets_sent.add(sent.packets);
        totals.send_errors.add(sent.errors);
    }
    if !rtcp.is_empty()
        && let Some((socket, destination)) = target.towards_rtcp()
    {
        for index in rtcp.indices() {
            target.sent_reports().remember(now, outlet.batch().packet(index).1);
        }
        let rtcp = sealed(outlet, totals, target, (Channel::Rtcp, rtcp));
        let sent = outlet.send(socket, rtcp, &destination, Label { port: target.id().0, is_rtp: false });
        target.count_errors(sent);
        totals.rtcp_sent.add(sent.packets);
        totals.send_errors.add(sent.errors);
    }
}

/// The packets of the batch as the peer of the port is to have them; those that cannot be protected are not sent.
fn sealed(
    outlet: &mut impl Outlet,
    totals: &ThreadTotals,
    target: &PortSockets,
    (channel, chosen): (Channel, Chosen),
) -> Chosen {
    if !target.outbound_security().is_on() {
        return chosen;
    }
    let sealed = target.outbound_security().seal(outlet.batch(), channel, chosen);
    let errors = chosen.count() - sealed.count();
    target.count_errors(Sent { errors, ..Sent::default() });
    totals.send_errors.add(errors);
    sealed
}
