"""Getting Julia: which installation is used, and the two ways to make one."""
