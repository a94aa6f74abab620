/** One of SMT's calls, as far as it is known. */
export interface Endpoint {
  readonly path: string
  /**
   * How sure it is that the call is as written here. `high`: a system in use makes it. `medium`: public programs made it before
   * the paths began with `/v2`, or its spelling differs between them.
   */
  readonly certainty: 'high' | 'medium'
  /** What its transaction ids begin with. */
  readonly prefix: string
  /** `safe`: nothing comes of asking twice. `never`: something is made, or somebody gets an e-mail. */
  readonly retry: 'safe' | 'never'
  /** Which of the fields that say who asks it has. */
  readonly identity: 'whole' | 'without-type' | 'requestor'
  /** Whether the headers say who asks, too. */
  readonly hasIdentityHeaders?: boolean
}

/**
 * The calls that are made. Not among them, since nobody has shown them to work: `/premiseInfo/`, `/v2/energydata/`, the XML of
 * `/greenbutton/`.
 */
export const endpoints = {
  intervalReads: {
    path: '/v2/15minintervalreads/',
    certainty: 'high',
    prefix: 'INT15',
    retry: 'safe',
    identity: 'whole'
  },
  dailyReads: { path: '/v2/dailyreads/', certainty: 'medium', prefix: 'DAILY', retry: 'safe', identity: 'whole' },
  monthlyBilling: {
    path: '/v2/monthlybillingInformation/',
    certainty: 'medium',
    prefix: 'MONTHLY',
    retry: 'safe',
    identity: 'whole'
  },
  meterInfo: { path: '/v2/meterInfo/', certainty: 'high', prefix: 'METER', retry: 'safe', identity: 'whole' },
  reportStatus: {
    path: '/v2/reportrequeststatus/',
    certainty: 'high',
    prefix: 'RPTSTAT',
    retry: 'safe',
    identity: 'requestor'
  },
  onDemandRead: { path: '/v2/odr/', certainty: 'medium', prefix: 'ODR', retry: 'never', identity: 'whole' },
  onDemandReadStatus: {
    path: '/v2/odrstatus/',
    certainty: 'medium',
    prefix: 'ODRSTAT',
    retry: 'safe',
    identity: 'whole'
  },
  newAgreement: {
    path: '/v2/NewAgreement/',
    certainty: 'high',
    prefix: 'NEWAGR',
    retry: 'never',
    identity: 'without-type',
    hasIdentityHeaders: true
  },
  agreements: { path: '/v2/myagreements/', certainty: 'high', prefix: 'MYAGREE', retry: 'safe', identity: 'whole' },
  agreementEsiids: {
    path: '/v2/AgreementESIIDs/',
    certainty: 'high',
    prefix: 'AGRIESI',
    retry: 'safe',
    identity: 'whole'
  },
  terminateAgreements: {
    path: '/v2/Terminateagreement/',
    certainty: 'high',
    prefix: 'AGRTERM',
    retry: 'never',
    identity: 'whole'
  },
  newSubscription: {
    path: '/v2/NewSubscription/',
    certainty: 'high',
    prefix: 'NEWSUB',
    retry: 'never',
    identity: 'whole',
    hasIdentityHeaders: true
  },
  subscriptions: {
    path: '/v2/Mysubscriptions/',
    certainty: 'high',
    prefix: 'SUBLIST',
    retry: 'safe',
    identity: 'whole'
  },
  cancelSubscription: {
    path: '/v2/UnSubscription/',
    certainty: 'high',
    prefix: 'UNSUB',
    retry: 'never',
    identity: 'whole'
  }
} as const satisfies Record<string, Endpoint>

/** The name of a call. */
export type EndpointName = keyof typeof endpoints
