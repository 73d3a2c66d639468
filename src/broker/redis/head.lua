return { epoch, whole(head) }
