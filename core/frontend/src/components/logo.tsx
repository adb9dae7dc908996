export function Logo({ size = 18 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 20 20" aria-hidden="true" className="shrink-0">
      <rect width="20" height="20" rx="5" fill="#3558d6" />
      <path
        d="M13.4 6.4c-.8-.9-2-1.3-3.4-1.3-1.9 0-3.3.9-3.3 2.4 0 3.3 6.7 1.6 6.7 5 0 1.5-1.5 2.4-3.4 2.4-1.5 0-2.8-.5-3.6-1.5"
        fill="none"
        stroke="#fff"
        strokeWidth="1.9"
        strokeLinecap="round"
      />
    </svg>
  );
}
