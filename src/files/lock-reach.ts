import { readFileSync, statfsSync, statSync } from 'node:fs';

/** Whom a lock that this kernel grants keeps out: everybody who can see the file, or only this kernel's processes. */
export type LockReach = 'everybody' | 'this kernel';

/** File systems of disks and memory, which one kernel alone has mounted, by the magic number of statfs(2). */
const ownDisks = new Set([
  0xef53, // ext2, ext3, ext4
  0x58465342, // XFS
  0x9123683e, // Btrfs
  0x01021994, // tmpfs
  0x858458f6, // ramfs
  0x794c7630, // overlay
  0x2fc12fc1, // ZFS
  0xf2f52010, // F2FS
  0xca451a4e, // bcachefs
  0x2011bab0, // exFAT
  0x4d44, // FAT
  0x7366746e, // NTFS
]);
const ceph = 0x00c36400;
const nfs = 0x6969;

/**
 * Looks at what lies under a path. Ceph and NFS hand locks to their servers, NFS unless it was mounted not to. Of all
 * else (FUSE, a virtual machine's shared folders, SMB, Lustre) nothing is known here, so a lock there counts as this
 * kernel's own business.
 */
export function lockReach(path: string): LockReach {
  const { type } = statfsSync(path);
  if (ownDisks.has(type) || type === ceph) return 'everybody';
  return type === nfs && nfsLocksAtServer(statSync(path).dev, readMounts()) ? 'everybody' : 'this kernel';
}

/** @param mounts the text of /proc/self/mountinfo (proc(5)); NFS's options are in nfs(5) */
export function nfsLocksAtServer(device: number, mounts: string): boolean {
  // Network file systems have the major number 0; Linux packs the two as in makedev(3).
  const minor = (device & 0xff) | ((device >>> 12) & 0xfff00);
  for (const line of mounts.split('\n')) {
    const [front = '', back = ''] = line.split(' - ');
    if (front.split(' ')[2] !== `0:${minor}`) continue;
    return !/[ ,](local_lock=(flock|posix|all)|nolock)(,|$)/.test(back);
  }
  return false;
}

function readMounts(): string {
  try {
    return readFileSync('/proc/self/mountinfo', 'utf8');
  } catch {
    return '';
  }
}
