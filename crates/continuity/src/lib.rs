//! Sites, instances, witness, epoch and fence, and the procedures that move a pool between them.
