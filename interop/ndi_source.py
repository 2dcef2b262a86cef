"""Says by multicast DNS on the loopback interface that an NDI source is there, with python-zeroconf, until its input ends:

    /usr/bin/python3 ndi_source.py 'STUDIO (CAM 1)' 5961
"""

import socket
import sys

from zeroconf import ServiceInfo, Zeroconf

KIND = "_ndi._tcp.local."
LOOPBACK = "127.0.0.1"

name, port = sys.argv[1], int(sys.argv[2])
network = Zeroconf(interfaces=[LOOPBACK])
network.register_service(ServiceInfo(KIND, f"{name}.{KIND}", port=port, addresses=[socket.inet_aton(LOOPBACK)], server="studio.local."))
print("registered", flush=True)
sys.stdin.read()
# Which says goodbye.
network.unregister_all_services()
network.close()
