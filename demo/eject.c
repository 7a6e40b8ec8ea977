// eject [-t] [DEVICE]: opens the tray of a CD drive, or closes it. Debian's busybox has none.
#include <errno.h>
#include <fcntl.h>
#include <linux/cdrom.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

int main(int count, char** words) {
    const int closes = count > 1 && strcmp(words[1], "-t") == 0;
    const char* device = count > 1 + closes ? words[1 + closes] : "/dev/sr0";
    const int drive = open(device, O_RDONLY | O_NONBLOCK);
    if (drive >= 0 && ioctl(drive, closes ? CDROMCLOSETRAY : CDROMEJECT) == 0)
        return 0;
    fprintf(stderr, "eject: %s: %s\n", device, strerror(errno));
    return 1;
}
