//go:build hostile

package hostile

// class is a kind of attack and the tests that make it, by package.
type class struct {
	name  string
	tests map[string][]string
}

// classes is the list. A test that is named here and did not run fails the gate: it was renamed, and the list must
// follow.
func classes() []class {
	return []class{
		{"ssrf", map[string][]string{
			"internal/egress": {
				"TestNothingButPublicAddressesIsReached", "TestAllowPrivateOpensTheNetworkButNotMetadata", "TestOnlyListedHostsAreReached",
				"TestANameThatChangesItsAddressGainsNothing", "TestRedirectsAreCheckedAgain", "TestRedirectsAreBounded",
				"TestAProxyOfTheEnvironmentIsNotUsed",
			},
			"internal/tools": {"TestFetchReachesNothingPrivate"},
		}},
		{"mcp-server", map[string][]string{
			"internal/mcp": {
				"TestAMaliciousServerGainsNothing", "TestWhereAServerSendsUsIsNotReached", "TestASchemaReadsNothingAndBreaksNothing", "TestAProgramThatWritesRubbishIsLetGo",
				"TestADescriptionIsUsedOnlyOnceItIsApproved", "TestHintsCountOnlyWhereTheyAreApproved", "TestWhatIsHiddenInADescriptionIsSeen", "TestToolsThatAreNotUsableAreLeftOutWithAReason",
				"TestQuestionsOfServersAreRefused", "TestAProgramGetsNothingOfOurEnvironment", "TestAServerThatDoesNotReadDoesNotHoldUpACall",
				"TestACallOfAnUnsafeToolIsNeverRepeatedWhenTheServerCrashes", "TestNothingIsBegunAtAnAuthorizationServerWithoutAPerson",
				"TestATokenOfTheSettingsGoesToTheServerAlone", "TestALoginIsNotUsedAtAnotherAddress", "TestEachUserHasALoginOfTheirOwn",
			},
		}},
		{"sandbox", map[string][]string{
			"internal/sandbox": {
				"TestNothingOutsideIsReached", "TestNothingUsesMoreThanItMay", "TestWhatACommandLeavesRunningEndsWithIt",
				"TestCommandsEndWithTheServerHoweverItDies", "TestACancelledCommandEnds", "TestAnOrdinaryUsersCommandsAreKeptInToo",
			},
			"internal/tools": {"TestWhatACommandLeavesHarmsNoOtherTool", "TestACommandSeesNoOtherRunsFiles", "TestWithoutASandboxCommandsAreRefused"},
			"internal/wasm": {
				"TestAProgramReachesNothingOutside", "TestAProgramWithoutAWorkspaceSeesNoFiles", "TestAProgramIsBounded",
				"TestATableCannotFillTheServersMemory",
			},
		}},
		{"path_traversal", map[string][]string{
			"internal/tools": {
				"TestPathsThatLeadOutAreRefused", "TestLinksAndSpecialFilesAreRefused", "TestAFolderPutInPlaceOfAFolderByALinkIsNotFollowed",
				"TestOnePersonsWorkspaceIsNotAnothers", "TestALinkedDatabaseIsNotRead", "FuzzNoPathLeadsOut",
			},
		}},
		{"sql_injection", map[string][]string{
			"internal/tools": {"TestAQueryCannotDoAnythingButRead"},
			"tests":          {"TestSourcesKeepTheRules", "TestSourceChecksFindWhatTheyForbid"},
		}},
		{"credentials_leave", map[string][]string{
			"internal/egress": {"TestCredentialsStayAtTheirOrigin", "TestABodyIsNotSentOnToAnotherOrigin"},
			"cmd/sutazai":     {"TestTheKeyGoesToTheServerAndNowhereElse"},
		}},
		{"rights", map[string][]string{
			"core/backend":  {"TestRoutesAndRights", "TestARouteWithoutARowInTheTableStopsTheStart"},
			"internal/auth": {"TestScopes"},
		}},
		{"authentication", map[string][]string{
			"internal/auth": {
				"TestCredentialsInHeaders", "TestWrongKeysAreRefused", "TestAKeyEndsWhenRevokedOrExpired",
				"TestTheSetupLinkWorksOnceAndNotAfterADay", "TestSessionsEndByIdlenessAgeAndLogout", "TestPasswordRules",
			},
			"core/backend": {
				"TestFromSetupLinkToSignOut", "TestGuessingPasswordsIsSlow", "TestAStreamEndsWhenItsKeyIsRevoked",
				"TestBehindTLSTheCookieIsBoundToTheHost",
			},
			"services/database": {"TestOfRacingSetupsOneWins"},
		}},
		{"rebinding_csrf", map[string][]string{
			"core/backend": {
				"TestForeignPagesAndNamesAreRefused", "TestSecurityHeadersAreOnEveryAnswer",
				"TestForwardedAddressesCountOnlyFromTrustedProxies",
			},
		}},
		{"secrets", map[string][]string{
			"core/backend":    {"TestSecretsAppearInNoAnswerLogOrMetric"},
			"config":          {"TestNoRenderingShowsASecret", "TestNoErrorShowsASecretHoweverTheFileIsBroken", "TestWrongTypesOfSecretsAreDescribedNotShown"},
			"internal/egress": {"TestErrorsNameTheHostButNoSecrets"},
		}},
		{"defaults", map[string][]string{
			"config":        {"TestTheBareBinaryIsSafeAndComplete"},
			"core/backend":  {"TestTheSocketNeedsNoCredentialAndIsTheOwnersOnly", "TestWithoutAuthenticationTheCallerIsLocal"},
			"internal/auth": {"TestWithoutAuthenticationEverybodyIsLocal"},
		}},
		{"output_injection", map[string][]string{
			"cmd/sutazai":    {"TestControlSequencesOfAModelDoNotReachATerminal"},
			"core/frontend":  {"TestAThemeCookieCannotInjectMarkup"},
			"internal/audit": {"TestTextsFromOutsideAreCutAndCleaned"},
		}},
		{"denial_of_service", map[string][]string{
			"core/backend": {
				"TestBodiesAreBounded", "TestUnknownLengthIsBoundedToo", "TestAnUnreadStreamIsCutOff", "TestRatesAreLimitedByKeyAndByAddress",
				"TestRoutesDoNotMultiplyMetrics", "TestRefusalsAreAuditedButCannotFloodTheLog",
			},
			"internal/ratelimit": {"TestMemoryIsBounded"},
			"internal/tools": {
				"TestHostilePagesAreSurvived", "TestNoExpressionTakesLong", "TestAQueryIsBoundedInRowsBytesAndTime",
				"TestAQueryThatFillsTheDiskIsStopped", "TestAWorkspaceIsBounded", "TestAResultIsBounded", "TestACallIsBoundedInTime",
			},
			"services/aimodels/constrained": {"TestSchemasAreBounded", "TestASchemaThatRefersToItselfEnds"},
			"internal/egress":               {"TestABodyIsBoundedAlsoWhenCompressed", "TestTimeIsBounded"},
		}},
	}
}
