/** What the launcher of a job (mpirun, srun) tells each of its processes, before MPI is there to be asked. */

export type Environment = Readonly<Record<string, string | undefined>>;

/** How many processes this one was started with: by mpirun, or by srun or another launcher that speaks PMIx or PMI. */
export function startedRanks(env: Environment): number {
  const { OMPI_COMM_WORLD_SIZE, PMI_SIZE, PMIX_RANK, SLURM_NTASKS } = env;
  return Number(OMPI_COMM_WORLD_SIZE ?? PMI_SIZE ?? (PMIX_RANK && SLURM_NTASKS) ?? 1);
}

/** The rank of this process. */
export function startedRank(env: Environment): number {
  return Number(env.OMPI_COMM_WORLD_RANK ?? env.PMIX_RANK ?? env.PMI_RANK ?? 0);
}

/** The rank of this process among those of its machine. */
export function localRank(env: Environment): number {
  const { OMPI_COMM_WORLD_LOCAL_RANK, SLURM_LOCALID, MPI_LOCALRANKID } = env;
  return Number(OMPI_COMM_WORLD_LOCAL_RANK ?? SLURM_LOCALID ?? MPI_LOCALRANKID ?? 0);
}
